"""Requests that write the tiles of a chunk, in one piece of memory, ready for values to be put in their places.

A tile is a record of the request: its field and the head of its value, the value, and a line
end. Tiles whose numbers have as many digits have records of one length, so that numpy reaches
all of them by one strided view. To make Python objects of each tile took four times as long as to
copy its values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box, Shape4, shape4
from .arena import Arena
from .batch import Buffer
from .resp import bulk, head, hset

FIELD: Final = b"c/%d/%d/%d/%d"
"""The field of a tile: the time, and its place along x, y, z."""

REQUEST_BYTES: Final = 1_048_576
"""Bytes of values in a request that writes, about. With 64 KiB the client takes a fifth more of its processor."""

_END: Final = np.frombuffer(b"\r\n", np.uint8)


def blocks_alike(tiles: Box) -> Iterator[Box]:
    """A box of tiles in boxes whose fields have one length: cut where a number gets one digit more."""
    spans = []
    for start, stop in zip(tiles.start, tiles.stop, strict=True):
        edges = [10**digits for digits in range(1, len(str(stop))) if start < 10**digits < stop]
        spans.append(list(pairwise([start, *edges, stop])))
    for ends in product(*spans):
        yield Box(start=shape4(start for start, _ in ends), stop=shape4(stop for _, stop in ends))


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRequests:
    """Requests of HSET for the tiles of a box of tiles, in `memory`.

    `places` are boxes of tiles. For each it is told where the value of the first tile is to be, and how many
    bytes lie from one to the next.
    """

    memory: NDArray[np.uint8]
    buffers: Sequence[Buffer]
    places: Sequence[tuple[Box, int, int]]

    @classmethod
    def of(cls, key: bytes, tiles: Box, nbytes: int, arena: Arena) -> TileRequests:
        """Requests of tiles of `nbytes` bytes each, of which all but the values is written."""
        blocks = list(blocks_alike(tiles))
        heads = [bulk(FIELD % block.start) + b"$%d\r\n" % nbytes for block in blocks]
        strides = [len(before) + nbytes + len(_END) for before in heads]
        sizes = [block.points * stride for block, stride in zip(blocks, strides, strict=True)]
        memory = arena.take(sum(sizes))
        buffers: list[Buffer] = []
        places = []
        begin = 0
        for block, before, stride, size in zip(blocks, heads, strides, sizes, strict=True):
            data = memory[begin : begin + size]
            _write_heads(data.reshape(*block.shape, stride), block, before)
            places.append((block, begin + len(before), stride))
            for start, stop in _requests(block.points, nbytes):
                buffers.append(hset(key, 2 * (stop - start)))
                buffers.append(data[start * stride : stop * stride].data)
            begin += size
        return cls(memory=memory, buffers=buffers, places=places)

    @property
    def count(self) -> int:
        """How many requests they are."""
        return len(self.buffers) // 2


def first_tiles(tiles: Box, nbytes: int) -> Iterator[Shape4]:
    """The first tile of each of these requests, in their order: its place along t, x, y, z."""
    for block in blocks_alike(tiles):
        for start, _ in _requests(block.points, nbytes):
            place = np.unravel_index(start, block.shape)
            yield shape4(int(n) + first for n, first in zip(place, block.start, strict=True))


def hmget_tiles(key: bytes, block: Box) -> bytes:
    """The request that reads the tiles of a box of tiles in C order, whose fields have one length."""
    name, request = bulk(FIELD % block.start), head(b"HMGET", key, block.points)
    out = np.empty(len(request) + block.points * len(name), np.uint8)
    out[: len(request)] = np.frombuffer(request, np.uint8)
    _write_heads(out[len(request) :].reshape(*block.shape, len(name)), block, name)
    return out.tobytes()


def _requests(tiles: int, nbytes: int) -> Iterator[tuple[int, int]]:
    """So many tiles, cut into requests: the first and one past the last of each."""
    most = max(1, REQUEST_BYTES // nbytes)
    for start in range(0, tiles, most):
        yield start, min(start + most, tiles)


def _write_heads(records: NDArray[np.uint8], block: Box, before: bytes) -> None:
    """Write all but the values into the records [t, i, j, k, bytes] of a block, which begin with a field.

    `before` is what stands before the value of the first.
    """
    records[..., : len(before)] = np.frombuffer(before, np.uint8)
    records[..., -len(_END) :] = _END
    at = before.index(b"c/") + len(b"c/")
    for axis, (start, stop) in enumerate(zip(block.start, block.stop, strict=True)):
        width = len(b"%d" % start)
        digits: NDArray[Any] = np.array([b"%d" % n for n in range(start, stop)]).view(np.uint8)
        shape = [1] * 4 + [width]
        shape[axis] = stop - start
        records[..., at : at + width] = digits.reshape(shape)
        at += width + len(b"/")
