"""Ready-made payloads for RESTORE: a hash as a listpack.

Format: an RDB value of type 16 (hash as listpack) in the form of DUMP. It has the type, the
listpack as a length-encoded string, the RDB version (two bytes, little-endian) and the CRC64
of all bytes before the CRC. Sources: `rdb.h`, `rdb.c`, `listpack.c` and `cluster.c` of
Redis 7.0. Version 10 is taken by Redis 7.0 and later and by Valkey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

TYPE_HASH_LISTPACK: Final = 16
RDB_VERSION: Final = 10
CRC_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A payload whose values and CRC are still zero; `offsets` are the places of the values in `data`."""

    data: bytes
    offsets: NDArray[np.int64]


def payload(points: int, size: int) -> Payload:
    """The payload of a hash with the fields 0 … points−1 and values of `size` bytes.

    It has at most 128 fields, which are small integers of one byte, and at most 63 bytes a
    value. A hash with one field twice can crash Redis 7.0 when it is read. So the fields are
    checked once more in the finished payload.
    """
    if not (1 <= points <= 128 and 1 <= size <= 63):
        raise ValueError(f"no listpack of {points} fields with values of {size} bytes")
    entry = bytes([0x80 | size]) + bytes(size) + bytes([size + 1])
    entries = b"".join(bytes([field, 1]) + entry for field in range(points))
    total = 4 + 2 + len(entries) + 1
    listpack = total.to_bytes(4, "little") + (2 * points).to_bytes(2, "little") + entries + b"\xff"
    before = bytes([TYPE_HASH_LISTPACK]) + _length(total)
    data = before + listpack + RDB_VERSION.to_bytes(2, "little") + bytes(CRC_BYTES)
    offsets = len(before) + 4 + 2 + 2 + 1 + np.arange(points) * (2 + len(entry))
    if len({data[offset - 3] for offset in offsets.tolist()}) != points:
        raise AssertionError(f"a listpack of {points} fields has one of them twice")
    return Payload(data=data, offsets=offsets)


def shape_of(data: bytes) -> tuple[int, int]:
    """The number of points and the bytes of a value in what `payload` returned."""
    begin = 1 + (1, 2, 5)[data[1] >> 6]
    points = int.from_bytes(data[begin + 4 : begin + 6], "little") // 2
    return points, data[begin + 8] & 0x3F


def _length(number: int) -> bytes:
    """A length as RDB writes it: 6 bits in one byte, 14 bits in two, or 32 bits after 0x80."""
    if number < 1 << 6:
        return bytes([number])
    if number < 1 << 14:
        return (0x4000 | number).to_bytes(2, "big")
    return b"\x80" + number.to_bytes(4, "big")
