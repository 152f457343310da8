"""Reading what is stored in blocks: each is read once, though the chunks of a plan cut across them.

A chunk of the plan takes a few planes where a file's own block may be 64 of them thick.
So whole panels are read (blocks side by side, as the plan comes by them) and the last ones
are kept, bounded in bytes. Not covered: blocks so thick that a panel exceeds the bound; those
are read more than once, which `Cells.times` says.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...grid import Box, Order, Shape4, shape4

CELL_BYTES: Final = 16 * 1024 * 1024
"""Bytes up to which blocks are read together."""

KEPT_BYTES: Final = 256 * 1024 * 1024
"""Bytes of panels that are kept: a panel of 64 planes of 512×512 complex128."""


def order_for(shape: Shape4, chunk: Shape4) -> Order:
    """The order in which a grid stored in such blocks is read with the smaller panels."""
    return "F" if math.prod(panel(shape, chunk, "F")) < math.prod(panel(shape, chunk, "C")) else "C"


def panel(shape: Shape4, chunk: Shape4, order: Order) -> Shape4:
    """Blocks side by side: whole along the axes that change faster than the first along which blocks are thick."""
    axes = (0, 1, 2, 3) if order == "C" else (3, 2, 1, 0)
    result = list(chunk)
    thick = next((place for place, axis in enumerate(axes) if chunk[axis] > 1), 3)
    for axis in axes[thick + 1 :]:
        result[axis] = shape[axis]
    return shape4(result)


@dataclass(slots=True, kw_only=True)
class Cells:
    """The grid cut into cells of `cell` points, of which `keep` are kept.

    `times` says how often a block is read in a pass, about. As many cells as are `ahead` of
    one in use are read meanwhile, in a thread of its own. All reading is done there, one
    cell at a time: no library needs to bear two.
    """

    shape: Shape4
    cell: Shape4
    order: Order
    keep: int
    ahead: int
    times: int
    _kept: OrderedDict[int, Future[NDArray[Any]]] = field(default_factory=OrderedDict, repr=False)
    _thread: ThreadPoolExecutor | None = field(default=None, repr=False)
    _newest: int = -1

    @classmethod
    def of(cls, shape: Shape4, chunk: Shape4, order: Order, itemsize: int) -> Cells:
        """Cells of whole blocks; if a panel of them is within the bound, each is read once."""
        chunk = shape4(map(min, chunk, shape))
        side = panel(shape, chunk, order)
        if math.prod(side) * itemsize > KEPT_BYTES:
            axes = (0, 1, 2, 3) if order == "C" else (3, 2, 1, 0)
            thick = chunk[next(axis for axis in axes if chunk[axis] > 1)]
            keep = max(1, KEPT_BYTES // (math.prod(chunk) * itemsize))
            return cls(shape=shape, cell=chunk, order=order, keep=keep, ahead=0, times=thick)
        cell = _grown(shape, chunk, order, max(1, CELL_BYTES // (math.prod(chunk) * itemsize)))
        needed = math.prod(max(1, -(-n // c)) for n, c in zip(side, cell, strict=True))
        keep = max(needed, KEPT_BYTES // (math.prod(cell) * itemsize))
        return cls(shape=shape, cell=cell, order=order, keep=keep, ahead=min(needed, keep - needed), times=1)

    def read(self, box: Box, load: Callable[[Box], NDArray[Any]]) -> NDArray[Any]:
        """The values of a box, from cells that `load` yields or that were kept."""
        result: NDArray[Any] | None = None
        for number in self._numbers(box):
            held = self._box(number)
            start = shape4(map(max, held.start, box.start))
            common = Box(start=start, stop=shape4(map(min, held.stop, box.stop)))
            values = self._cell(number, load)[common.within(held)]
            if common == box:
                return values
            if result is None:
                result = np.empty(box.shape, values.dtype)
            result[common.within(box)] = values
        assert result is not None  # noqa: S101 # a box of no points is never asked for
        return result

    def _cell(self, number: int, load: Callable[[Box], NDArray[Any]]) -> NDArray[Any]:
        """The values of a cell; those that follow are begun if cells are asked for in their order."""
        if number not in self._kept:
            self._begin(number, load)
        self._kept.move_to_end(number)
        if number == self._newest + 1:
            self._newest = number
            for after in range(number + 1, min(number + 1 + self.ahead, self._count)):
                if after not in self._kept:
                    self._begin(after, load)
        elif number > self._newest:  # begun in the middle
            self._newest = number
        try:
            return self._kept[number].result()
        except BaseException:
            self._kept.pop(number, None)
            raise

    def _begin(self, number: int, load: Callable[[Box], NDArray[Any]]) -> None:
        while len(self._kept) >= self.keep:
            self._kept.popitem(last=False)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "reading")
        self._kept[number] = self._thread.submit(load, self._box(number))

    @property
    def _count(self) -> int:
        return math.prod(-(-n // c) for n, c in zip(self.shape, self.cell, strict=True))

    def _numbers(self, box: Box) -> list[int]:
        """The numbers of the cells that a box touches, ascending: they are counted in the order of reading."""
        numbers = [0]
        for axis in (0, 1, 2, 3) if self.order == "C" else (3, 2, 1, 0):
            size = self.cell[axis]
            count = -(-self.shape[axis] // size)
            along = range(box.start[axis] // size, -(-box.stop[axis] // size))
            numbers = [number * count + place for number in numbers for place in along]
        return numbers

    def _box(self, number: int) -> Box:
        start = [0, 0, 0, 0]
        for axis in (3, 2, 1, 0) if self.order == "C" else (0, 1, 2, 3):
            size = self.cell[axis]
            number, place = divmod(number, -(-self.shape[axis] // size))
            start[axis] = place * size
        ends = zip(start, self.cell, self.shape, strict=True)
        return Box(start=shape4(start), stop=shape4(min(a + c, n) for a, c, n in ends))

    def close(self) -> None:
        """Forget what was kept, and end the thread."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None
        self._kept.clear()
        self._newest = -1


def _grown(shape: Shape4, cell: Shape4, order: Order, room: int) -> Shape4:
    """A cell of up to `room` times as many points, longer along the axis that changes fastest of those not whole."""
    result = list(cell)
    for axis in (3, 2, 1, 0) if order == "C" else (0, 1, 2, 3):
        times = max(1, min(room, -(-shape[axis] // cell[axis])))
        result[axis] = min(shape[axis], cell[axis] * times)
        room //= times
    return shape4(result)
