"""Reading ahead: while one box is encoded, the one that follows it in the plan is read.

A source is asked for boxes and does not know the plan; but two boxes that follow each other
tell it. What is asked for in any other order is read when it is asked for.
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
"""Points of a box from which on it is read ahead: to hand over less costs more than it gains (a fifth of the rate)."""

ReadBox = Callable[[Box], NDArray[Any]]


@dataclass(slots=True, kw_only=True)
class ReadAhead:
    """Reads the boxes of a grid, one at a time, and one ahead of those that were asked for."""

    shape: Shape4
    order: Order
    _chunk: Shape4 = (0, 0, 0, 0)
    _expected: Box | None = None
    _begun: tuple[Box, Future[NDArray[Any]]] | None = field(default=None, repr=False)
    _thread: ThreadPoolExecutor | None = field(default=None, repr=False)

    def read(self, box: Box, load: ReadBox) -> NDArray[Any]:
        """The values of a box as `load` yields them. What it raises is raised when that box is asked for."""
        begun, self._begun = self._begun, None
        follows = box == self._expected
        if not follows:
            self._chunk = box.shape
        self._expected = self._after(box)
        if begun is not None and begun[0] != box:
            wait([begun[1]])  # no library needs to bear two readers
            begun = None
        values = load(box) if begun is None else begun[1].result()
        if follows and self._expected is not None and self._expected.points >= AHEAD_POINTS:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "reading-ahead")
            self._begun = self._expected, self._thread.submit(load, self._expected)
        return values

    def _after(self, box: Box) -> Box | None:
        """The box that follows in a plan of boxes like this one, if it is one of them and not the last."""
        plan = BoxPlan(shape=self.shape, chunk=self._chunk, order=self.order)
        number = plan.holding(box.start)
        return plan[number + 1].box if plan[number].box == box and number + 1 < len(plan) else None

    def close(self) -> None:
        """Drop what was read ahead, and end the thread."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None
        self._begun = self._expected = None
