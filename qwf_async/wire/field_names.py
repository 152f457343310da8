"""Field names `x{x}_y{y}_z{z}_t{t}` of a whole box of points, encoded at once.

The points of a box are taken in blocks within which each index has the same number of
digits. All records of a block have one length, so a block is one array of bytes. A row of
records along z is made once and copied; then the digits of x, y and t are written over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box
from .arena import Arena
from .decimal_digits import digit_spans, digits

FIELD: Final = b"x%d_y%d_z%d_t%d"
"""The name of a point's field, made of its indices x, y, z, t."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecords:
    """The records of a block of points, in C order of [t, x, y, z].

    `data` is uint8 [t, x, y, z, record length]. But for the digits of the name, a record is the
    same bytes for every point.
    """

    box: Box
    data: NDArray[np.uint8]


def field_name(x: int, y: int, z: int, t: int) -> bytes:
    """The field of one point."""
    return FIELD % (x, y, z, t)


def box_records(box: Box, record: Callable[[bytes], bytes], arena: Arena) -> list[BlockRecords]:
    """Records for all points of the box, one block for each class of digits, in memory of one slab.

    `record` makes a record of a name: what it puts before and after the name is the same for
    all names of one length. It may leave room for a value.
    """
    first_records = [(block, record(first_name(block))) for block in blocks(box)]
    memory = arena.take(sum(block.points * len(first) for block, first in first_records))
    result = []
    begin = 0
    for block, first in first_records:
        end = begin + block.points * len(first)
        data = memory[begin:end].reshape(*block.shape, len(first))
        _fill(data, block, first)
        result.append(BlockRecords(box=block, data=data))
        begin = end
    return result


def blocks(box: Box) -> list[Box]:
    """The box cut into blocks within each of which no index changes its number of digits."""
    spans = [digit_spans(a, b) for a, b in zip(box.start, box.stop, strict=True)]
    return [
        Box(start=(t[0], x[0], y[0], z[0]), stop=(t[1], x[1], y[1], z[1])) for t, x, y, z in product(*spans)
    ]


def first_name(box: Box) -> bytes:
    """The field of the first point of a box."""
    t, x, y, z = box.start
    return field_name(x, y, z, t)


def digit_columns(block: Box) -> Iterator[tuple[int, int, int]]:
    """Where the names of a block's points differ: (axis of [t, x, y, z], byte of the name, digit of the index).

    The digits of an index are counted from 0 on. All others are the same in all names.
    """
    at = 0
    for axis in (1, 2, 3, 0):
        start, last = block.start[axis], block.stop[axis] - 1
        at += len("x")
        width = len(str(start))
        for digit in range(width):
            power = 10 ** (width - 1 - digit)
            if start // power != last // power:
                yield axis, at + digit, digit
        at += width + len("_")


def _fill(data: NDArray[np.uint8], box: Box, record: bytes) -> None:
    """Write the records of a block: each is `record` with the digits of its own point.

    `data` is uint8 [t, x, y, z, record length].
    """
    begin = record.index(first_name(box))
    row = np.empty((data.shape[3], len(record)), np.uint8)
    row[:] = np.frombuffer(record, np.uint8)
    columns = [
        (axis, begin + at, digits(box.start[axis], box.stop[axis])[:, digit])
        for axis, at, digit in digit_columns(box)
    ]
    for axis, at, column in columns:
        if axis == 3:
            row[:, at] = column
    # [t, x, y, z, record] → [t·x·y, z·record]: the row, copied to each.
    data.reshape(-1, row.size)[:] = row.reshape(-1)
    # One digit at a time: the long loop is then over the points, not over two or three digits.
    for axis, at, column in columns:
        if axis < 3:
            data[..., at] = column.reshape(-1, *(1,) * (3 - axis))  # [t], [x] or [y] with the axes after it
