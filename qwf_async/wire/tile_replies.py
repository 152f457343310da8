"""Tiles read by HMGET, as replies that are known but for the values, and taken from where they came.

A reply to HMGET is an array of values in the order of the fields that were asked for. All tiles have
one length, so their values lie at regular distances. Source: the Redis serialization protocol specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box, Shape3
from .batch import Buffer
from .tiling import lines_of, take_box

_END: Final = b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class TileReply:
    """The reply to HMGET of a box of `tiles` in C order, among all replies the bytes `start` … `stop`−1.

    The first value is at `first`, each other one `stride` bytes on. Before the first stands `begin`,
    before each other one `between`, and after the last a line end.
    """

    tiles: Box
    count: int
    begin: bytes
    between: bytes
    start: int
    first: int
    stride: int
    stop: int

    @classmethod
    def of(cls, tiles: Box, nbytes: int, *, start: int) -> TileReply:
        """The reply for tiles of `nbytes` each."""
        count = tiles.points
        begin, between = b"*%d\r\n$%d\r\n" % (count, nbytes), b"\r\n$%d\r\n" % nbytes
        first, stride = start + len(begin), nbytes + len(between)
        return cls(
            tiles=tiles,
            count=count,
            begin=begin,
            between=between,
            start=start,
            first=first,
            stride=stride,
            stop=first + count * stride - len(between) + len(_END),
        )

    def match(self, data: memoryview, start: int, stop: int) -> bool:
        """Whether the bytes start … stop−1 of all replies are as expected where they are of this one."""
        between, stride = self.between, self.stride
        edge = self.first - len(between)
        number = max(0, (start - edge) // stride)
        last = min(self.count, (stop - edge) // stride)
        if number == 0:
            if not _agree(data, start, stop, self.start, self.begin):
                return False
            number = 1
        if last == self.count:
            if not _agree(data, start, stop, edge + last * stride, _END):
                return False
            last -= 1
        for at in range(edge + number * stride, edge + (last + 1) * stride, stride):
            if data[at : at + len(between)] != between and not _agree(data, start, stop, at, between):
                return False
        return True


def _agree(data: memoryview, start: int, stop: int, at: int, expected: bytes) -> bool:
    """Whether those of the bytes start … stop−1 that are from `at` on are the expected ones."""
    low, high = max(at, start), min(at + len(expected), stop)
    return low >= high or data[low:high] == expected[low - at : high - at]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileReplies:
    """A box of points, to be read by its tiles. `data` is room for the bytes of the replies to `request`."""

    request: Buffer
    replies: Sequence[TileReply]
    box: Box
    tile: Shape3
    data: NDArray[np.uint8]

    dumped: ClassVar[bool] = False

    def match(self, start: int, stop: int) -> bool:
        """Whether the bytes start … stop−1 of `data` are as expected, whatever the values are."""
        come = self.data.data
        return all(
            reply.match(come, start, stop)
            for reply in self.replies
            if reply.start < stop and start < reply.stop
        )

    def values(self, into: NDArray[Any]) -> bool:
        """Put the values of the box into an array of it, contiguous along z. Always True: what matches is values."""
        for reply in self.replies:
            lines = lines_of(
                self.data, reply.first, reply.stride, reply.tiles.shape, self.tile, into.itemsize
            )
            take_box(lines, reply.tiles, self.tile, self.box, into)
        return True
