"""Blocks of an HDF5 data set, read without the library where their bytes are known.

The library unpacks a block to any size, half a gigabyte where 64 KiB are due. A block that is
too short it fills up with memory that was never written (HDF5 2.0). So blocks packed by deflate,
shuffled or not, are unpacked here, to exactly the bytes that they must have. For other filters
the size that a block states is compared before the library reads the block. Not covered: filters
that state none (lzf, szip, scale-offset, fletcher32 over another), and the blocks of sources of
a virtual data set. Formats: HDF5 File Format Specification 3.0, "Filter Pipeline Message", and
the filters' own headers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import FileIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ....errors import InvalidInput
from ....optional import first_line
from ..block_assembly import BlockIndex, read_blocks
from ..bounded_decoding import deflated, zstd_size
from ..contiguous import read_contiguous
from ..variable import Slices

PLAIN_BYTES: Final = 32 * 1024
"""Bytes of the smallest block without filters that is read here: the library is quick with many small ones."""

DEFLATE, SHUFFLE = 1, 2
"""Numbers of the filters that are undone here."""

HEADER_BYTES: Final = 18
"""Bytes of a block in which its filter states the size: the longest header of zstd has so many."""

STATED: Final[Mapping[int, Callable[[bytes], int | None]]] = {
    32001: lambda head: int.from_bytes(head[4:8], "little"),  # blosc
    32004: lambda head: int.from_bytes(head[:8], "big"),  # lz4
    32015: zstd_size,
}
"""By the number of the last filter of a block: the size that its head states."""

MAX_PACKED_GROWTH: Final = 1024
"""Bytes by which packing, besides an eighth, can make a block longer: no filter is worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How a data set is read: see `Variable` for `parted` and `parallel`."""

    read: Callable[[Slices], NDArray[Any]]
    parted: bool = False
    parallel: bool = False


def reader_of(h5py: Any, item: Any, what: str, raw: FileIO) -> Reader:
    """How to read a data set that is not virtual, `what` in messages, in the file `raw`.

    What no filter has packed is read here: the library's hyperslabs take twice as long.
    """
    dtype, chunk = _in_file(h5py, item), item.chunks
    filters = _filters(item)
    if chunk is None:
        if dtype is None or item.id.get_offset() is None or item.external:
            return Reader(read=item.__getitem__)
        return Reader(read=partial(read_contiguous, raw, what, item.id.get_offset(), item.shape, dtype))
    size = math.prod(chunk) * item.id.get_type().get_size()
    if not filters and (dtype is None or size < PLAIN_BYTES):
        return Reader(read=item.__getitem__)
    blocks = Blocks.of(item, what, raw, dtype, size, filters)
    own = dtype is not None and all(number in (DEFLATE, SHUFFLE) for number, _ in filters)
    if not own and not blocks.plain and filters[-1][0] not in STATED:
        return Reader(read=item.__getitem__)  # its blocks state no size
    return Reader(
        read=partial(read_blocks, chunk, blocks.part),
        parted=dtype is not None and blocks.plain,
        parallel=own and not blocks.plain,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Where the blocks of a data set are in the file, in arrays with an item for each block.

    `begins` has the first byte of a block, -1 if it was never written; `lengths` its bytes as it is
    packed; `masks` a bit for each filter that was skipped. `size` are the bytes of a block's
    numbers, and `dtype` is None if they are not as numpy has them.
    """

    item: Any
    what: str
    raw: FileIO
    dtype: np.dtype[Any] | None
    size: int
    filters: tuple[tuple[int, int], ...]
    begins: NDArray[np.int64]
    lengths: NDArray[np.int64]
    masks: NDArray[np.uint32]

    @classmethod
    def of(
        cls,
        item: Any,
        what: str,
        raw: FileIO,
        dtype: np.dtype[Any] | None,
        size: int,
        filters: tuple[tuple[int, int], ...],
    ) -> Blocks:
        """The blocks of a data set. Raises InvalidInput if one is longer than packing can make it."""
        shape, chunk = item.shape, item.chunks
        grid = [-(-n // c) for n, c in zip(shape, chunk, strict=True)]
        begins, lengths, masks = (
            np.full(grid, -1, np.int64),
            np.zeros(grid, np.int64),
            np.zeros(grid, np.uint32),
        )

        def note(block: Any) -> None:
            index = tuple(a // c for a, c in zip(block.chunk_offset, chunk, strict=True))
            begins[index], lengths[index], masks[index] = block.byte_offset, block.size, block.filter_mask

        item.id.chunk_iter(note)  # to ask for one block takes as long as to ask for all
        blocks = cls(
            item=item, what=what, raw=raw, dtype=dtype, size=size, filters=filters,
            begins=begins, lengths=lengths, masks=masks,
        )  # fmt: skip
        max_length = size + size // 8 + MAX_PACKED_GROWTH
        if (lengths > max_length).any():
            index = tuple(int(n) for n in np.unravel_index(int(lengths.argmax()), lengths.shape))
            raise blocks._fault(index, f"has {lengths.max()} bytes packed, where its array says {size}")
        return blocks

    @property
    def plain(self) -> bool:
        """Whether no block that was written is packed: lzf leaves as it is what it cannot shrink."""
        written = self.begins >= 0
        skipped = self.masks == (1 << len(self.filters)) - 1
        return bool((skipped & (self.lengths == self.size))[written].all())

    def part(self, index: BlockIndex, within: Slices) -> NDArray[Any]:
        """A part of one block. Raises InvalidInput if the block unpacks to another size than it must have."""
        begin, length, mask = int(self.begins[index]), int(self.lengths[index]), int(self.masks[index])
        applied = [filter_ for bit, filter_ in enumerate(self.filters) if not mask >> bit & 1]
        if begin < 0:
            return self._by_library(index, within)
        if not applied and length != self.size:
            raise self._fault(index, f"has {length} bytes, where its array says {self.size}")
        if self.dtype is not None and not applied:
            return read_contiguous(self.raw, self.what, begin, self.item.chunks, self.dtype, within)
        if self.dtype is not None and all(number in (DEFLATE, SHUFFLE) for number, _ in applied):
            values = np.frombuffer(self._unpacked(index, applied), self.dtype)
            return values.reshape(self.item.chunks)[within]
        if applied and applied[-1][0] in STATED:
            stated = STATED[applied[-1][0]](os.pread(self.raw.fileno(), HEADER_BYTES, begin))
            if stated != self.size:
                raise self._fault(index, f"unpacks to {stated} bytes, where its array says {self.size}")
        return self._by_library(index, within)

    def _by_library(self, index: BlockIndex, within: Slices) -> NDArray[Any]:
        """A part of one block, as the library reads it."""
        corner = (n * size for n, size in zip(index, self.item.chunks, strict=True))
        values: NDArray[Any] = self.item[
            tuple(slice(n + span.start, n + span.stop) for n, span in zip(corner, within, strict=True))
        ]
        return values

    def _unpacked(self, index: BlockIndex, filters: list[tuple[int, int]]) -> Any:
        """The bytes of a block's numbers; the filters are undone from the last to the first."""
        begin, length = int(self.begins[index]), int(self.lengths[index])
        data: Any = os.pread(self.raw.fileno(), length, begin)
        if len(data) != length:
            raise InvalidInput(f"{self.what} was cut short while it was read")
        for number, width in reversed(filters):
            if number == SHUFFLE:
                data = _unshuffled(data, width)
                continue
            try:
                data = deflated(data, self.size)
            except Exception as error:  # whatever a damaged block can raise
                raise self._fault(index, f"cannot be unpacked: {first_line(error)}") from error
        if len(data) != self.size:
            raise self._fault(index, f"unpacks to {len(data)} bytes, where its array says {self.size}")
        return data

    def _fault(self, index: BlockIndex, fault: str) -> InvalidInput:
        corner = tuple(n * size for n, size in zip(index, self.item.chunks, strict=True))
        return InvalidInput(f"{self.what} is damaged: its block at {corner} {fault}")


def _unshuffled(data: Any, width: int) -> Any:
    """Bytes in the order of the numbers again: shuffle has put all first bytes of numbers first, then all second ones.

    Bytes after the last whole number were left as they are.
    """
    count = len(data) // width
    # [width, count], one row for each byte of a number, is turned to [count, width], one row for each number.
    turned = np.frombuffer(data, np.uint8, count * width).reshape(width, count).T
    if count * width == len(data):
        return np.ascontiguousarray(turned).reshape(-1).data
    return turned.tobytes() + bytes(memoryview(data)[count * width :])


def _filters(item: Any) -> tuple[tuple[int, int], ...]:
    """The number and first setting of each filter in the pipeline; shuffle's setting is the bytes of a number."""
    pipeline = item.id.get_create_plist()
    filters = (pipeline.get_filter(step) for step in range(pipeline.get_nfilters()))
    return tuple((number, settings[0] if settings else 1) for number, _, settings, _ in filters)


def _in_file(h5py: Any, item: Any) -> np.dtype[Any] | None:
    """The type of a data set if the bytes in the file are those of a numpy array of that type, else None."""
    dtype: np.dtype[Any] = item.dtype
    same = dtype.kind in "cfiu" and item.id.get_type().equal(h5py.h5t.py_create(dtype, logical=True))
    return dtype if same else None
