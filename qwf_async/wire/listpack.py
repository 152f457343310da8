"""Ready-made payloads for RESTORE: a hash as a listpack.

Format: an RDB value of type 16 (hash as listpack) in the form of DUMP (`rdb`), whose content is the
listpack as a string. Sources: `rdb.h`, `rdb.c` and `listpack.c` of Redis 7.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .rdb import CRC_BYTES, RDB_VERSION, VERSION_BYTES, length

TYPE_HASH_LISTPACK: Final = 16


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
    before = bytes([TYPE_HASH_LISTPACK]) + length(total)
    data = before + listpack + RDB_VERSION.to_bytes(VERSION_BYTES, "little") + bytes(CRC_BYTES)
    offsets = len(before) + 4 + 2 + 2 + 1 + np.arange(points) * (2 + len(entry))
    if len({data[offset - 3] for offset in offsets.tolist()}) != points:
        raise AssertionError(f"a listpack of {points} fields has one of them twice")
    return Payload(data=data, offsets=offsets)
