"""A cache of a file's blocks: each is read once, though the chunks of a plan cut across them.

A chunk of the plan takes a few planes, while a file's own block can be 64 planes thick.
So cells of whole blocks are read ahead of their use, and kept as long as the plan comes back to
them. Those are a panel of blocks side by side, and the next panel. What is too much for memory is
kept in a temporary file: 64 planes of 512×512 complex128 are 268 MB. Not covered: panels that
exceed the bound of that file. Their blocks are read more than once, as `BlockCache.times` says.
"""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import Box, Order, Shape4, shape4
from ...lattice.plan import BoxPlan
from .block_assembly import BlockIndex, read_blocks
from .contiguous import read_contiguous
from .read_ahead import ReadBox
from .temporary_file import MAX_TEMPORARY_BYTES, no_room_error, temporary_file
from .variable import Slices

CELL_BYTES: Final = 2 * 1024 * 1024
"""Bytes of a cell, up to which blocks are read together."""

MEMORY_BYTES: Final = 2 * 1024 * 1024
"""Bytes of cells that are kept in memory: the engine takes 20 MB, and the whole client must not exceed 64 MB."""

FILE_BYTES: Final = MAX_TEMPORARY_BYTES
"""Bytes of cells that are kept in a temporary file."""

RUN_BYTES: Final = 32 * 1024
"""Bytes next to each other in a block that are enough to read its parts as they are asked for, without a cache."""

ReadPart = Callable[[Slices], NDArray[Any]]
"""Yields a part of a cell, by slices within the cell."""


def order_for(shape: Shape4, chunk: Shape4) -> Order:
    """The order of reading a grid, stored in blocks of `chunk`, that has the smaller panels."""
    return "F" if math.prod(panel(shape, chunk, "F")) < math.prod(panel(shape, chunk, "C")) else "C"


def panel(shape: Shape4, chunk: Shape4, order: Order) -> Shape4:
    """The shape of the blocks that chunks in that order touch before they leave a layer of blocks.

    It is the whole grid along the axes that change faster than the first along which blocks have
    more than one point, and one block along the others. In C order, blocks [1, 4, 8, 8] of a grid
    [t, x, y, z] make the panel [1, 4, y, z].
    """
    axes = (0, 1, 2, 3) if order == "C" else (3, 2, 1, 0)
    result = list(chunk)
    thick = next((number for number, axis in enumerate(axes) if chunk[axis] > 1), 3)
    for axis in axes[thick + 1 :]:
        result[axis] = shape[axis]
    return shape4(result)


def parts_are_cheap(shape: Shape4, chunk: Shape4, order: Order, itemsize: int) -> bool:
    """Whether a chunk of the plan takes long runs of bytes from blocks whose points are in this order.

    A run takes about 10 µs besides its bytes, so that 32 KiB at a time are 1.5 GB/s or more.
    """
    turn = 1 if order == "C" else -1
    box = BoxPlan.cut(shape, order=order).chunk
    run = _run(chunk[::turn], box[::turn])
    return run * itemsize >= min(RUN_BYTES, math.prod(box) * itemsize)


def _run(whole: tuple[int, ...], box: tuple[int, ...]) -> int:
    """Points that are next to each other, of those that a box of that shape takes of an array in C order."""
    part = [min(a, b) for a, b in zip(whole, box, strict=True)]
    axis = len(part) - 1
    while axis > 0 and part[axis] == whole[axis]:
        axis -= 1
    return math.prod(part[axis:])


@dataclass(slots=True, kw_only=True)
class CachedCell:
    """A cell that is being read or was read.

    `slot` is its place in the temporary file, None for memory; `left` are the points of it that
    were not asked for yet.
    """

    slot: int | None
    part: Future[ReadPart]
    left: int


@dataclass(slots=True, kw_only=True)
class BlockCache:
    """Cells of a grid: boxes of the shape `cell`, of `itemsize` bytes a point.

    A cell is kept until all its points were asked for; at most `keep` are kept. `times` says about
    how often a block is read in one pass. All reading is done in `threads` of its own, ahead of
    the cells in use: with one thread the library is never called by two at once.
    """

    shape: Shape4
    cell: Shape4
    order: Order
    itemsize: int
    keep: int
    times: int
    threads: int = 1
    _kept: OrderedDict[int, CachedCell] = field(default_factory=OrderedDict, repr=False)
    _thread: ThreadPoolExecutor | None = field(default=None, repr=False)
    _files: tuple[FileIO, FileIO] | None = field(default=None, repr=False)
    _newest: int = -1
    _fortran: bool | None = None

    @classmethod
    def of(cls, shape: Shape4, chunk: Shape4, order: Order, itemsize: int, *, threads: int = 1) -> BlockCache:
        """A cache of whole blocks of the shape `chunk`; if a panel of them is within the bound, each is read once."""
        chunk = shape4(map(min, chunk, shape))
        side = panel(shape, chunk, order)
        if math.prod(side) * itemsize > FILE_BYTES:
            axes = (0, 1, 2, 3) if order == "C" else (3, 2, 1, 0)
            times, cell = chunk[next(axis for axis in axes if chunk[axis] > 1)], chunk
        else:
            times = 1
            cell = _grown(shape, chunk, order, max(1, CELL_BYTES // (math.prod(chunk) * itemsize)))
        return cls(
            shape=shape,
            cell=cell,
            order=order,
            itemsize=itemsize,
            keep=max(1, FILE_BYTES // (math.prod(cell) * itemsize)),
            times=times,
            threads=threads,
        )

    def read(self, box: Box, load: ReadBox) -> NDArray[Any]:
        """The values of a box, from cells that `load` yields or that were kept.

        Raises InvalidInput if there is no room for the temporary file, and what `load` raises.
        """
        if self._fortran is None:  # how cells are kept: the order that suits the plan, not that of reading
            self._fortran = _run(self.cell[::-1], box.shape[::-1]) > _run(self.cell, box.shape)

        def part(index: BlockIndex, within: Slices) -> NDArray[Any]:
            number = 0
            for axis in (0, 1, 2, 3) if self.order == "C" else (3, 2, 1, 0):
                number = number * -(-self.shape[axis] // self.cell[axis]) + index[axis]
            cell = self._used(number, load)
            try:
                values = cell.part.result()(within)
            except BaseException:
                self._kept.pop(number, None)
                raise
            cell.left -= values.size
            if cell.left <= 0:
                self._kept.pop(number, None)
            return values

        return read_blocks(self.cell, part, box.slices, self.order)

    def _used(self, number: int, load: ReadBox) -> CachedCell:
        """The cell of that number; if cells are asked for in their order, reading those that follow is begun."""
        if number not in self._kept:
            self._begin(number, load)
        cell = self._kept[number]
        self._kept.move_to_end(number)
        if number == self._newest + 1 and self.times == 1:
            # As many as are in use: one for a plan that follows the blocks, a panel for one that cuts across them.
            used = sum(kept.left < self._box(other).points for other, kept in self._kept.items())
            last = min(
                number + max(used + 1, self._in_memory - 1), number + self.keep - used - 1, self._count - 1
            )
            for after in range(number + 1, last + 1):
                if after not in self._kept:
                    self._begin(after, load)
        self._newest = max(self._newest, number)
        return cell

    def _begin(self, number: int, load: ReadBox) -> None:
        """Begin to read a cell; if no other can be kept, it replaces the one that was used longest ago."""
        while len(self._kept) >= self.keep:
            _, oldest = self._kept.popitem(last=False)
            if not oldest.part.cancel():
                wait([oldest.part])  # it may be writing into the slot that is given away
        slots = [cell.slot for cell in self._kept.values()]
        slot = None if slots.count(None) < self._in_memory else min({*range(len(slots) + 1)} - {*slots})
        if self._thread is None:
            self._thread = ThreadPoolExecutor(self.threads, "reading")
        if self._files is None and slot is not None:
            try:
                self._files = temporary_file()
            except OSError as error:
                raise no_room_error("blocks of the file", error) from error
        box = self._box(number)
        part = self._thread.submit(self._read_cell, load, box, slot, self._files)
        self._kept[number] = CachedCell(slot=slot, part=part, left=box.points)

    def _read_cell(
        self,
        load: ReadBox,
        box: Box,
        slot: int | None,
        files: tuple[FileIO, FileIO] | None,
    ) -> ReadPart:
        """Read a cell and keep it, in memory or in its slot of the file. Returns how parts of it are read."""
        values = load(box)
        if slot is None or files is None:
            return values.__getitem__
        writer, reader = files
        fortran, offset = bool(self._fortran), slot * self._cell_bytes
        # [t, x, y, z] in Fortran order has the bytes of its transpose in C order.
        data = np.ascontiguousarray(values.T if fortran else values).reshape(-1).view(np.uint8).data
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(writer.fileno(), data[done:], offset + done)
        except OSError as error:
            raise no_room_error("blocks of the file", error) from error
        return partial(
            read_contiguous, reader, "a temporary file", offset, values.shape, values.dtype, fortran=fortran
        )

    @property
    def _in_memory(self) -> int:
        """How many cells are kept in memory."""
        return MEMORY_BYTES // self._cell_bytes

    @property
    def _cell_bytes(self) -> int:
        return math.prod(self.cell) * self.itemsize

    @property
    def _count(self) -> int:
        return math.prod(-(-n // c) for n, c in zip(self.shape, self.cell, strict=True))

    def _box(self, number: int) -> Box:
        start = [0, 0, 0, 0]
        for axis in (3, 2, 1, 0) if self.order == "C" else (0, 1, 2, 3):
            size = self.cell[axis]
            number, index = divmod(number, -(-self.shape[axis] // size))
            start[axis] = index * size
        ends = zip(start, self.cell, self.shape, strict=True)
        return Box(start=shape4(start), stop=shape4(min(a + c, n) for a, c, n in ends))

    def close(self) -> None:
        """Forget all cells, end the threads and close the temporary file. May be called twice."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
            self._thread = None
        if self._files is not None:
            for file in self._files:
                file.close()
            self._files = None
        self._kept.clear()
        self._newest = -1


def _grown(shape: Shape4, cell: Shape4, order: Order, room: int) -> Shape4:
    """A cell of up to `room` times as many points, made longer along the axis that changes fastest first."""
    result = list(cell)
    for axis in (3, 2, 1, 0) if order == "C" else (0, 1, 2, 3):
        times = max(1, min(room, -(-shape[axis] // cell[axis])))
        result[axis] = min(shape[axis], cell[axis] * times)
        room //= times
    return shape4(result)
