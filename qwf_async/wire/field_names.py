"""Field names `x{x}_y{y}_z{z}_t{t}` of a whole box of points, encoded at once.

The points of a box are taken in blocks within which each index has the same number of
digits. All records of a block have one length, so a block is one array of bytes. A row of
records along z is made once and copied; then the digits of x, y and t are written over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box
from .resp import bulk
from .slab import Slabs

FIELD: Final = b"x%d_y%d_z%d_t%d"
"""The name of a point's field, made of its indices x, y, z, t."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecords:
    """The records of a block of points, in C order of [t, x, y, z].

    `data` is uint8 [t, x, y, z, record length]. Each record is the field as a bulk string and
    then `tail`. That is the same bytes for every point, and may hold room for a value.
    """

    box: Box
    data: NDArray[np.uint8]


def field_name(x: int, y: int, z: int, t: int) -> bytes:
    """The field of one point."""
    return FIELD % (x, y, z, t)


def box_records(box: Box, tail: bytes, slabs: Slabs) -> list[BlockRecords]:
    """Records for all points of the box, one block for each class of digits, in memory of one slab."""
    first_records = [(block, _record(block, tail)) for block in blocks(box)]
    memory = slabs.take(sum(block.points * len(record) for block, record in first_records))
    result = []
    begin = 0
    for block, record in first_records:
        end = begin + block.points * len(record)
        data = memory[begin:end].reshape(*block.shape, len(record))
        _fill(data, block, record)
        result.append(BlockRecords(box=block, data=data))
        begin = end
    return result


def blocks(box: Box) -> list[Box]:
    """The box cut into blocks within each of which no index changes its number of digits."""
    spans = [digit_spans(a, b) for a, b in zip(box.start, box.stop, strict=True)]
    return [
        Box(start=(t[0], x[0], y[0], z[0]), stop=(t[1], x[1], y[1], z[1])) for t, x, y, z in product(*spans)
    ]


def digit_spans(start: int, stop: int) -> list[tuple[int, int]]:
    """The range cut where the number of decimal digits changes."""
    powers = [10**d for d in range(1, 19) if start < 10**d < stop]
    return list(pairwise([start, *powers, stop]))


def _record(box: Box, tail: bytes) -> bytes:
    """The record of the first point of a block."""
    t, x, y, z = box.start
    return bulk(field_name(x, y, z, t)) + tail


def _fill(data: NDArray[np.uint8], box: Box, record: bytes) -> None:
    """Write the records of a block: each is `record` with the digits of its own point.

    `data` is uint8 [t, x, y, z, record length].
    """
    t, x, y, z = (digits(a, b) for a, b in zip(box.start, box.stop, strict=True))
    at_x = record.index(b"x") + 1
    at_y = at_x + x.shape[1] + 2
    at_z = at_y + y.shape[1] + 2
    at_t = at_z + z.shape[1] + 2

    row = np.empty((len(z), len(record)), np.uint8)
    row[:] = np.frombuffer(record, np.uint8)
    row[:, at_z : at_z + z.shape[1]] = z
    # [t, x, y, z, record] → [t·x·y, z·record]: the row, copied to each.
    data.reshape(-1, row.size)[:] = row.reshape(-1)
    # One digit at a time: the long loop is then over the points, not over two or three digits.
    for k in range(x.shape[1]):
        data[..., at_x + k] = x[:, k, None, None]
    for k in range(y.shape[1]):
        data[..., at_y + k] = y[:, k, None]
    for k in range(t.shape[1]):
        data[..., at_t + k] = t[:, k, None, None, None]


def digits(start: int, stop: int) -> NDArray[np.uint8]:
    """Decimal digits of start … stop−1, all of the same length: uint8 [n, digits]."""
    width = len(str(start))
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return (np.arange(start, stop, dtype=np.int64)[:, None] // powers % 10 + ord("0")).astype(np.uint8)
