"""Reading ahead: while one box is encoded, the box that follows it in the plan is read.

A source is asked for boxes and does not know the plan, but can tell it from two boxes that
follow each other. Boxes in any other order are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Final

from numpy.typing import NDArray

from ...lattice.grid import Box, Order, Shape4
from ...lattice.plan import BoxPlan

AHEAD_POINTS: Final = 131_072
"""Points of the smallest box that is read ahead: handing over smaller ones takes a fifth of the rate."""

ReadBox = Callable[[Box], NDArray[Any]]
"""Reads a box of the grid from the file."""


@dataclass(slots=True, kw_only=True)
class ReadAhead:
    """Reads the boxes of a grid as they are asked for, and one box ahead. Not for several threads at once."""

    shape: Shape4
    order: Order
    _chunk: Shape4 = (0, 0, 0, 0)
    _expected: Box | None = None
    _begun: tuple[Box, Future[NDArray[Any]]] | None = field(default=None, repr=False)
    _thread: ThreadPoolExecutor | None = field(default=None, repr=False)

    def read(self, box: Box, load: ReadBox) -> NDArray[Any]:
        """The values of a box as `load` yields them. An error of reading ahead is raised when its box is asked for."""
        begun, self._begun = self._begun, None
        follows = box == self._expected
        if not follows:
            self._chunk = box.shape
        self._expected = self._after(box)
        if begun is not None and begun[0] != box:
            wait([begun[1]])  # two threads must not read at once: not every library allows it
            begun = None
        values = load(box) if begun is None else begun[1].result()
        if follows and self._expected is not None and self._expected.points >= AHEAD_POINTS:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "reading-ahead")
            self._begun = self._expected, self._thread.submit(load, self._expected)
        return values

    def _after(self, box: Box) -> Box | None:
        """The box that follows in a plan of boxes of the same size; None if this is the last, or none of them."""
        plan = BoxPlan(shape=self.shape, chunk=self._chunk, order=self.order)
        number = plan.holding(box.start)
        return plan[number + 1].box if plan[number].box == box and number + 1 < len(plan) else None

    def close(self) -> None:
        """Drop what was read ahead, and end the thread. May be called twice."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None
        self._begun = self._expected = None
