"""Requests that change stored values in place: scripts that first check that the fields are there.

So a generation that was removed is not brought back, and each request is all or nothing.
Their reply is 0, or the first field that is missing; then nothing was changed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Shape3
from .buckets import BUCKET
from .resp import bulk

SET_FIELDS: Final = b"""
-- KEYS: a data key. ARGV: field, value, field, value... One HMGET: HEXISTS of each takes a sixth longer.
local fields = {}
for i = 1, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
  if not value then return fields[i] end
end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 0
"""

SET_IN_TILES: Final = b"""
-- KEYS: a data key. ARGV: bytes of a tile; planes of it and rows of a plane that are set (first,
-- stop), rows in a plane, bytes of a row, those of it that are set (first, stop); then a field and
-- the bytes to set in its tile, for each tile.
local size, row, first, stop = tonumber(ARGV[1]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
for i = 10, #ARGV, 2 do
  local tile = redis.call('HGET', KEYS[1], ARGV[i])
  if not tile or #tile ~= size then return ARGV[i] end
end
for i = 10, #ARGV, 2 do
  local tile, given, parts, done, taken = redis.call('HGET', KEYS[1], ARGV[i]), ARGV[i + 1], {}, 0, 0
  for plane = ARGV[2], ARGV[3] - 1 do
    for line = ARGV[4], ARGV[5] - 1 do
      local start = (plane * ARGV[6] + line) * row + first
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


def script(text: bytes, key: bytes, before: bytes, places: int, arguments: int) -> bytes:
    """The beginning of EVAL with one key: `before` holds `places` arguments, and `arguments` more will follow."""
    count = 4 + places + arguments
    return b"*%d\r\n%s%s%s%s%s" % (count, bulk(b"EVAL"), bulk(text), bulk(b"1"), bulk(key), before)


def set_fields(key: bytes, arguments: int) -> bytes:
    """The beginning of a request that sets fields; fields and values in turn will follow."""
    return script(SET_FIELDS, key, b"", 0, arguments)


def set_in_tiles(key: bytes, arguments: int, *, place: bytes) -> bytes:
    """The beginning of a request that sets the same place (`cut_place`) in tiles; fields and bytes will follow."""
    return script(SET_IN_TILES, key, place, 9, arguments)


def cut_place(tile: Shape3, first: Shape3, sizes: Shape3, itemsize: int) -> bytes:
    """Where in a tile a block of `sizes` points from point `first` on lies, as arguments of SET_IN_TILES.

    What is whole along the last axes is one run of bytes: a whole tile is one run.
    """
    (a, b, c), (i, j, k), (planes, rows, n) = tile, first, sizes
    for _ in range(2):
        if n == c:  # whole rows one after the other are one row, and whole planes one plane
            planes, rows, n = 1, planes, rows * c
            (a, b, c), (i, j, k) = (1, a, b * c), (0, i, j * c)
    numbers = (a * b * c * itemsize, i, i + planes, j, j + rows, b, *(x * itemsize for x in (c, k, k + n)))
    return b"".join(bulk(b"%d" % number) for number in numbers)


def pairs(fields: NDArray[np.int64], values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Field and value of points of buckets as bulk strings, point after point: the bytes, and where each ends.

    `fields` [N] are places in a bucket, `values` [N] are in the dtype of the codec.
    """
    size = values.dtype.itemsize
    tail = b"$%d\r\n%s\r\n" % (size, bytes(size))
    made = [bulk(b"%d" % field) + tail for field in range(BUCKET)]
    width = len(made[-1])
    # Aligned at their ends, so that the values lie in one column.
    table = np.frombuffer(b"".join(record.rjust(width, b"\0") for record in made), np.uint8)
    data = table.reshape(BUCKET, width)[fields]
    column: NDArray[Any] = np.ndarray((len(fields),), values.dtype, data, width - 2 - size, (width,))
    column[...] = values
    lengths = np.fromiter(map(len, made), np.int64, BUCKET)[fields]
    return data[np.arange(width) >= width - lengths[:, None]], np.cumsum(lengths)
