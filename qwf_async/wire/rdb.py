"""The parts that all payloads of RESTORE and DUMP have: lengths, and the ending with its checksum.

A payload is a type byte, the value, the RDB version (two bytes, little-endian) and the CRC64
of all bytes before the CRC. Version 10 is taken by Redis 7.0 and later and by Valkey.
Sources: `rdb.h`, `rdb.c` and `cluster.c` of Redis 7.0.
"""

from __future__ import annotations

from functools import reduce
from typing import Final

from anycrc import Model

from .batch import Buffer
from .resp import bulk, head

RDB_VERSION: Final = 10
VERSION_BYTES: Final = 2
CRC_BYTES: Final = 8
ENDING_BYTES: Final = VERSION_BYTES + CRC_BYTES
"""Bytes of a payload after its value."""

RESTORED: Final = b"+OK\r\n"
"""The reply to RESTORE, and to nothing else that stores values."""


def length(number: int) -> bytes:
    """A length as RDB writes it: 6 bits in one byte, 14 bits in two, or 32 bits after 0x80."""
    if number < 1 << 6:
        return bytes([number])
    if number < 1 << 14:
        return (0x4000 | number).to_bytes(2, "big")
    return b"\x80" + number.to_bytes(4, "big")


def crc64(*pieces: Buffer) -> bytes:
    """The CRC64 (Jones; CRC-64/REDIS) of the pieces one after the other, as a payload ends with it."""
    model = Model("CRC64-REDIS")
    total: int = reduce(lambda crc, piece: model.calc(piece, crc), pieces, 0)
    return total.to_bytes(CRC_BYTES, "little")


def restore(key: bytes, nbytes: int) -> bytes:
    """The beginning of a RESTORE that a payload of `nbytes` will follow as the rest of a bulk string.

    It has no REPLACE, which would delete what is under the key, whatever type that has.
    """
    return head(b"RESTORE", key, 2) + bulk(b"0") + b"$%d\r\n" % nbytes
