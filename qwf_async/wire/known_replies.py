"""Replies whose every byte but the values is known beforehand: buckets read whole, by DUMP or by HGETALL.

The library makes two Python objects a point of them (2.0 to 2.6 M points/s). Here their bytes
are compared with what they must be, and the values are copied out: 400 M points/s, so that the
server is the limit. DUMP gives the listpack as it lies in the server's memory: 16 to 30 M points/s
where the server does not compress it (`rdbcompression no`), and 7 to 12 where it tries to. It then
often gives something shorter, which is not what is expected. HGETALL makes a text of every field:
7 to 9 M points/s. (Valkey 9.1.2 and Redis 7.0.15.)

Both give the fields of a listpack in the order in which they were set. In RESP2 the reply to
HGETALL is an array of field, value, field, value and so on; that to DUMP is a bulk string with the
payload of `listpack`. Its RDB version and CRC may be any: they are the server's own.
Sources: the Redis serialization protocol specification, and `hgetallCommand` of `t_hash.c`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .batch import Buffer
from .buckets import FIELD, value_slots
from .listpack import payload
from .rdb import ENDING_BYTES
from .resp import bulk

CRLF: Final = b"\r\n"

COMPARED_BYTES: Final = 65_536
"""About how many bytes are compared at a time: they stay in the cache of the processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketReplies:
    """The replies for `count` buckets of the fields 0 … points−1, whose values have the dtype `dtype`.

    They are those to DUMP if `dumped`, else those to HGETALL. A value's length is fixed by the bytes
    before it, and no reply in RESP is the beginning of another. So as long as the bytes are as expected,
    more of them come until the last one. A reader that compares the bytes as they arrive never waits in vain.
    """

    count: int
    points: int
    dtype: np.dtype[Any]
    dumped: bool

    @property
    def nbytes(self) -> int:
        """Bytes of all replies."""
        return self.count * self._template.size

    def match(self, data: NDArray[np.uint8], start: int, stop: int) -> bool:
        """Whether the bytes start … stop−1 of `data`, which holds the replies, are what they must be."""
        template = self._template
        for begin in range(start, stop, COMPARED_BYTES):
            end = min(begin + COMPARED_BYTES, stop)
            same = slice(begin % template.size, begin % template.size + end - begin)
            differing = data[begin:end] ^ template.bytes[same]
            differing &= template.mask[same]
            if differing.any():
                return False
        return True

    def put_values(self, data: NDArray[np.uint8], into: NDArray[Any]) -> None:
        """Copy the values out of `data`, which holds the replies, into an array [count · points]."""
        if not self.count:  # numpy refuses a view of no bytes
            return
        values = into.reshape(self.count, self.points)
        replies = data.reshape(self.count, self._template.size)
        for columns, slots in value_slots(replies, self._template.offsets, self.dtype):
            values[:, columns] = slots

    @property
    def _template(self) -> _ReplyTemplate:
        return _template(self.points, self.dtype.itemsize, self.dumped)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReplies:
    """A box of points read by the whole buckets that hold it.

    `data` is room for the bytes of the replies to `request`. First come those of the `full`
    buckets, then that of the grid's last bucket, if it is among them and `partial`. `places` are
    those of the box's points in the values of all buckets one after the other: int64
    [points of the box], or a slice if they follow one another.
    """

    request: Buffer
    full: BucketReplies
    partial: BucketReplies
    data: NDArray[np.uint8]
    places: NDArray[np.int64] | slice

    @property
    def dumped(self) -> bool:
        return self.full.dumped

    def match(self, start: int, stop: int) -> bool:
        """Whether the bytes start … stop−1 of `data` are as expected, whatever the values are."""
        edge = self.full.nbytes
        return self.full.match(self.data, start, min(stop, edge)) and self.partial.match(
            self.data[edge:], max(start, edge) - edge, stop - edge
        )

    def values(self, into: NDArray[Any]) -> bool:
        """Put the values of the box into an array of it, [t, x, y, z]; always True: bytes that match are values."""
        full = self.full.count * self.full.points
        values = np.empty(full + self.partial.count * self.partial.points, self.full.dtype)
        edge = self.full.nbytes
        self.full.put_values(self.data[:edge], values[:full])
        self.partial.put_values(self.data[edge:], values[full:])
        into[...] = values[self.places].reshape(into.shape)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReplyTemplate:
    """One reply of `size` bytes with its values at `offsets`; `bytes` and `mask` repeat it.

    The mask is 0 over what may be any bytes.
    """

    size: int
    offsets: NDArray[np.int64]
    bytes: NDArray[np.uint8]
    mask: NDArray[np.uint8]


@lru_cache(maxsize=8)
def _template(points: int, size: int, dumped: bool) -> _ReplyTemplate:
    reply, offsets = _dumped(points, size) if dumped else _listed(points, size)
    mask = np.full(len(reply), 255, np.uint8)
    for offset in offsets.tolist():
        mask[offset : offset + size] = 0
    if dumped:
        mask[-ENDING_BYTES - len(CRLF) : -len(CRLF)] = 0
    times = 1 + -(-COMPARED_BYTES // len(reply))
    return _ReplyTemplate(
        size=len(reply),
        offsets=offsets,
        bytes=np.tile(np.frombuffer(reply, np.uint8), times),
        mask=np.tile(mask, times),
    )


def _dumped(points: int, size: int) -> tuple[bytes, NDArray[np.int64]]:
    """The reply to DUMP of one bucket, with zeros for the values, and where these begin."""
    packed = payload(points, size)
    begin = b"$%d\r\n" % len(packed.data)
    return begin + packed.data + CRLF, len(begin) + packed.offsets


def _listed(points: int, size: int) -> tuple[bytes, NDArray[np.int64]]:
    """The reply to HGETALL of one bucket, with zeros for the values, and where these begin."""
    reply, offsets = bytearray(b"*%d\r\n" % (2 * points)), []
    for point in range(points):
        reply += bulk(FIELD % point) + b"$%d\r\n" % size
        offsets.append(len(reply))
        reply += bytes(size) + CRLF
    return bytes(reply), np.array(offsets)
