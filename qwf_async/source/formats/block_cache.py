"""Reading what is stored in blocks: each is read once, though the chunks of a plan cut across them.

A chunk of the plan takes a few planes where a file's own block may be 64 of them thick.
So cells of whole blocks are read, ahead of their use, and as many are kept as the plan
comes back to: a panel of blocks side by side, and the next one. What is too much for memory
is kept in a temporary file (64 planes of 512×512 complex128 are 268 MB), and parts of it are
read as those of any file. Not covered: panels that exceed the bound of that file; their
blocks are read more than once, which `BlockCache.times` says.
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
from .temporary_file import MAX_TEMPORARY_BYTES, no_room_error, temporary_file
from .variable import Slices

CELL_BYTES: Final = 2 * 1024 * 1024
"""Bytes up to which blocks are read together."""

HELD_BYTES: Final = 2 * 1024 * 1024
"""Bytes of cells that are kept in memory: the engine takes 20 MB, and all of the client 64 MB at most."""

KEPT_BYTES: Final = MAX_TEMPORARY_BYTES
"""Bytes of cells that are kept in a temporary file."""

RUN_BYTES: Final = 32 * 1024
"""Bytes next to each other in a block from which on its parts are read as they are wanted."""

Part = Callable[[Slices], NDArray[Any]]


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


def parts_are_cheap(shape: Shape4, chunk: Shape4, order: Order, itemsize: int) -> bool:
    """Whether what a chunk of the plan takes of blocks that lie in this order is long runs of bytes.

    A run costs about 10 µs and its bytes, so that 32 KiB at a time are 1.5 GB/s or more.
    """
    turn = 1 if order == "C" else -1
    box = BoxPlan.cut(shape, order=order).chunk
    run = _run(chunk[::turn], box[::turn])
    return run * itemsize >= min(RUN_BYTES, math.prod(box) * itemsize)


def _run(whole: tuple[int, ...], box: tuple[int, ...]) -> int:
    """Points next to each other of those that a box takes of an array in C order."""
    part = [min(a, b) for a, b in zip(whole, box, strict=True)]
    axis = len(part) - 1
    while axis > 0 and part[axis] == whole[axis]:
        axis -= 1
    return math.prod(part[axis:])


@dataclass(slots=True, kw_only=True)
class CachedCell:
    """A cell that was begun: its place in the file, None for memory, and how many points are yet to be asked for."""

    slot: int | None
    part: Future[Part]
    left: int


@dataclass(slots=True, kw_only=True)
class BlockCache:
    """The grid cut into cells of `cell` points of `itemsize` bytes; up to `keep` are kept until all was asked for.

    `times` says how often a block is read in a pass, about. Cells that follow one in use are
    read meanwhile, in `threads` of its own. All reading is done there: with one of them no
    library needs to bear two readers.
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
        """Cells of whole blocks; if a panel of them is within the bound, each is read once."""
        chunk = shape4(map(min, chunk, shape))
        side = panel(shape, chunk, order)
        if math.prod(side) * itemsize > KEPT_BYTES:
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
            keep=max(1, KEPT_BYTES // (math.prod(cell) * itemsize)),
            times=times,
            threads=threads,
        )

    def read(self, box: Box, load: Callable[[Box], NDArray[Any]]) -> NDArray[Any]:
        """The values of a box, from cells that `load` yields or that were kept.

        Raises InvalidInput if there is no room for the temporary file, and what `load` raises.
        """
        if self._fortran is None:  # the order that suits the plan, which need not be that of reading
            self._fortran = _run(self.cell[::-1], box.shape[::-1]) > _run(self.cell, box.shape)

        def part(place: BlockIndex, within: Slices) -> NDArray[Any]:
            number = 0
            for axis in (0, 1, 2, 3) if self.order == "C" else (3, 2, 1, 0):
                number = number * -(-self.shape[axis] // self.cell[axis]) + place[axis]
            kept = self._asked(number, load)
            try:
                values = kept.part.result()(within)
            except BaseException:
                self._kept.pop(number, None)
                raise
            kept.left -= values.size
            if kept.left <= 0:
                self._kept.pop(number, None)
            return values

        return read_blocks(self.cell, part, box.slices, self.order)

    def _asked(self, number: int, load: Callable[[Box], NDArray[Any]]) -> CachedCell:
        """A cell; those that follow are begun if cells are asked for in their order."""
        if number not in self._kept:
            self._begin(number, load)
        kept = self._kept[number]
        self._kept.move_to_end(number)
        if number == self._newest + 1 and self.times == 1:
            # As many again as are in use: one for a plan that follows the blocks, a panel for one that cuts them.
            used = sum(one.left < self._box(place).points for place, one in self._kept.items())
            last = min(
                number + max(used + 1, self._in_memory - 1), number + self.keep - used - 1, self._count - 1
            )
            for after in range(number + 1, last + 1):
                if after not in self._kept:
                    self._begin(after, load)
        self._newest = max(self._newest, number)
        return kept

    def _begin(self, number: int, load: Callable[[Box], NDArray[Any]]) -> None:
        """Have a cell read, in the place of the one whose use is longest ago if there is no other."""
        while len(self._kept) >= self.keep:
            _, oldest = self._kept.popitem(last=False)
            if not oldest.part.cancel():
                wait([oldest.part])  # it may be writing into the slot that is given away
        slots = [one.slot for one in self._kept.values()]
        slot = None if slots.count(None) < self._in_memory else min({*range(len(slots) + 1)} - {*slots})
        if self._thread is None:
            self._thread = ThreadPoolExecutor(self.threads, "reading")
        if self._files is None and slot is not None:
            try:
                self._files = temporary_file()
            except OSError as error:
                raise no_room_error("blocks of the file", error) from error
        box = self._box(number)
        part = self._thread.submit(self._stored, load, box, slot, self._files)
        self._kept[number] = CachedCell(slot=slot, part=part, left=box.points)

    def _stored(
        self,
        load: Callable[[Box], NDArray[Any]],
        box: Box,
        slot: int | None,
        files: tuple[FileIO, FileIO] | None,
    ) -> Part:
        """Read a cell and keep it: in memory, or in its slot of the file."""
        values = load(box)
        if slot is None or files is None:
            return values.__getitem__
        writer, reader = files
        fortran, offset = bool(self._fortran), slot * self._cell_bytes
        room = np.ascontiguousarray(values.T if fortran else values).reshape(-1).view(np.uint8).data
        try:
            done = 0
            while done < len(room):
                done += os.pwrite(writer.fileno(), room[done:], offset + done)
        except OSError as error:
            raise no_room_error("blocks of the file", error) from error
        return partial(
            read_contiguous, reader, "a temporary file", offset, values.shape, values.dtype, fortran=fortran
        )

    @property
    def _in_memory(self) -> int:
        """Cells that are kept in memory."""
        return HELD_BYTES // self._cell_bytes

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
            number, place = divmod(number, -(-self.shape[axis] // size))
            start[axis] = place * size
        ends = zip(start, self.cell, self.shape, strict=True)
        return Box(start=shape4(start), stop=shape4(min(a + c, n) for a, c, n in ends))

    def close(self) -> None:
        """Forget what was kept, and end the thread."""
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
    """A cell of up to `room` times as many points, longer along the axis that changes fastest of those not whole."""
    result = list(cell)
    for axis in (3, 2, 1, 0) if order == "C" else (0, 1, 2, 3):
        times = max(1, min(room, -(-shape[axis] // cell[axis])))
        result[axis] = min(shape[axis], cell[axis] * times)
        room //= times
    return shape4(result)
