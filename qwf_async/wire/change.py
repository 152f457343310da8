"""Requests that change stored values in place: scripts that first check that the fields are there.

So a generation that was removed is not brought back, and each request is all or nothing. The
journal, which lies beside the data, then says that the chunk was changed on purpose. The reply
to a request is 0. If a field is missing, the reply is the first such field, and nothing was
changed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Shape3
from .buckets import BUCKET, FIELD
from .resp import bulk

JOURNAL_ENDING: Final = b":j"
"""What the key of a group's journal has after the hash tag."""

_MARK_STALE: Final = b"""
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], ARGV[1], 'stale') end
"""

SET_FIELDS: Final = (
    b"""
-- KEYS: a data key, its journal. ARGV: chunk, field, value, field, value...
-- One HMGET: HEXISTS of each takes a sixth longer.
local fields = {}
for i = 2, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
  if not value then return fields[i] end
end
"""
    + _MARK_STALE
    + b"""
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 0
"""
)

SET_IN_TILES: Final = (
    b"""
-- KEYS: a data key, its journal. ARGV: chunk; bytes of a tile; planes of it and rows of a plane that are set (first,
-- stop), rows in a plane, bytes of a row, those of it that are set (first, stop); then a field and
-- the bytes to set in its tile, for each tile.
local size, row, first, stop = tonumber(ARGV[2]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
for i = 11, #ARGV, 2 do
  local tile = redis.call('HGET', KEYS[1], ARGV[i])
  if not tile or #tile ~= size then return ARGV[i] end
end
"""
    + _MARK_STALE
    + b"""
for i = 11, #ARGV, 2 do
  local tile, given, parts, done, taken = redis.call('HGET', KEYS[1], ARGV[i]), ARGV[i + 1], {}, 0, 0
  for plane = ARGV[3], ARGV[4] - 1 do
    for line = ARGV[5], ARGV[6] - 1 do
      local start = (plane * ARGV[7] + line) * row + first
      parts[#parts + 1] = string.sub(tile, done + 1, start)
      parts[#parts + 1] = string.sub(given, taken + 1, taken + stop - first)
      done, taken = start + stop - first, taken + stop - first
    end
  end
  parts[#parts + 1] = string.sub(tile, done + 1)
  redis.call('HSET', KEYS[1], ARGV[i], table.concat(parts))
end
return 0
"""
)


def journal_beside(key: bytes) -> bytes:
    """The journal of the group that a data key belongs to."""
    return key[: key.rindex(b"}") + 1] + JOURNAL_ENDING


def set_fields(key: bytes, chunk: int, arguments: int) -> bytes:
    """The beginning of a request that sets fields of a chunk. `arguments` bulk strings must follow: field, value, …"""
    return _eval_head(SET_FIELDS, key, chunk, arguments)


def set_in_tiles(key: bytes, chunk: int, arguments: int, *, place: bytes) -> bytes:
    """The beginning of a request that sets the same block of points (`cut_place`) in several tiles of a chunk.

    `arguments` bulk strings must follow: the field of a tile, the bytes of the block, …
    """
    return _eval_head(SET_IN_TILES, key, chunk, 9 + arguments) + place


def _eval_head(script: bytes, key: bytes, chunk: int, arguments: int) -> bytes:
    """The beginning of EVAL of a script for a data key and its journal, with the chunk and so many arguments."""
    keys = bulk(b"2") + bulk(key) + bulk(journal_beside(key))
    return b"*%d\r\n%s%s%s%s" % (6 + arguments, bulk(b"EVAL"), bulk(script), keys, bulk(b"%d" % chunk))


def cut_place(tile: Shape3, first: Shape3, sizes: Shape3, itemsize: int) -> bytes:
    """Where a block of `sizes` points that begins at point `first` lies in a tile, as arguments of SET_IN_TILES.

    A run is bytes next to each other in the tile. Where the block is as long as the tile along
    the last axis, its rows in a plane are one run; along the last two axes, its planes are.
    """
    (a, b, c), (i, j, k), (planes, rows, n) = tile, first, sizes
    for _ in range(2):
        if n == c:  # whole rows one after the other are one row, and whole planes one plane
            planes, rows, n = 1, planes, rows * c
            (a, b, c), (i, j, k) = (1, a, b * c), (0, i, j * c)
    # The bytes of a tile; planes and rows that are set (first, stop); rows in a plane; bytes of a row and those set.
    numbers = (a * b * c * itemsize, i, i + planes, j, j + rows, b, *(x * itemsize for x in (c, k, k + n)))
    return b"".join(bulk(b"%d" % number) for number in numbers)


def pairs(fields: NDArray[np.int64], values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Field and value of points of buckets as bulk strings, point after point: their bytes, and where each point ends.

    `fields` [N] are the places of the points in their buckets; `values` [N] are in the dtype
    of the codec. Returns uint8 [bytes] and int64 [N].
    """
    size = values.dtype.itemsize
    tail = b"$%d\r\n%s\r\n" % (size, bytes(size))
    records = [bulk(FIELD % field) + tail for field in range(BUCKET)]
    width = len(records[-1])
    # One record for each place, aligned at their ends, so that the values are one column: uint8 [BUCKET, width],
    # of which the records of the points are taken, [N, width]. What is left of a record is cut off at the end.
    table = np.frombuffer(b"".join(record.rjust(width, b"\0") for record in records), np.uint8)
    data = table.reshape(BUCKET, width)[fields]
    column: NDArray[Any] = np.ndarray((len(fields),), values.dtype, data, width - 2 - size, (width,))
    column[...] = values
    lengths = np.fromiter(map(len, records), np.int64, BUCKET)[fields]
    return data[np.arange(width) >= width - lengths[:, None]], np.cumsum(lengths)
