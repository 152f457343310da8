"""Ready-made hashes for RESTORE: the points of a box as one hash table, whatever its size.

Format: an RDB value of type 4 (hash) in the form of DUMP: the number of fields, then name and
value of each as strings. A server that limits listpacks to fewer fields, or to shorter values,
makes a hash table of it, and a listpack else: just as HSET does. Source: `rdbLoadObject` of `rdb.c`, Redis 7.0.
"""

from __future__ import annotations

from typing import Any, Final

from numpy.typing import NDArray

from ..lattice.grid import Box
from .arena import Arena
from .batch import Buffer, Part
from .point_records import point_runs
from .rdb import ENDING_BYTES, RDB_VERSION, RESTORED, VERSION_BYTES, crc64, length, restore
from .string_form import IN_RDB

TYPE_HASH: Final = 4


def beginning(box: Box) -> bytes:
    """The bytes of a payload before the records of the points of a box."""
    return bytes([TYPE_HASH]) + length(box.points)


def restored_box(key: bytes, box: Box, values: NDArray[Any], codec: str, arena: Arena) -> tuple[Part, int]:
    """The request that stores a box of points as the hash of a key that is not there yet; and the values' digest.

    `values` [t, x, y, z] are in the dtype of the codec (`codec.stored`).
    """
    runs, sum_of_values = point_runs(box, values, codec, IN_RDB, arena)
    begin = beginning(box)
    records: list[Buffer] = [run.data for run in runs]
    nbytes = len(begin) + sum(map(len, records)) + ENDING_BYTES
    version = RDB_VERSION.to_bytes(VERSION_BYTES, "little")
    checksum = crc64(begin, *records, version)
    buffers = (restore(key, nbytes) + begin, *records, version + checksum + b"\r\n")
    return Part(key=key, requests=1, buffers=buffers, answer=RESTORED), sum_of_values
