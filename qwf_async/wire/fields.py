"""Field names `x{x}_y{y}_z{z}_t{t}` of a whole box of points, encoded at once.

Within a block of points whose four indices each keep their number of digits, every record
has the same length, so a block is one array of bytes: a row of records along z is made
once and copied, then the digits of x, y and t are written over it column by column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from ..grid import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The records of a block of points, in C order of [t, x, y, z].

    `data` is uint8 [t, x, y, z, record length]; each record is the field as a bulk string
    and then `tail`, the same bytes for every point, which may hold room for a value.
    """

    box: Box
    data: NDArray[np.uint8]


def field_name(x: int, y: int, z: int, t: int) -> bytes:
    """The field of one point."""
    return b"x%d_y%d_z%d_t%d" % (x, y, z, t)


def records(box: Box, tail: bytes) -> Iterator[Records]:
    """Records for all points of the box, one block for each class of digits."""
    spans = [_digit_spans(a, b) for a, b in zip(box.start, box.stop, strict=True)]
    for t, x, y, z in product(*spans):
        block = Box(start=(t[0], x[0], y[0], z[0]), stop=(t[1], x[1], y[1], z[1]))
        yield Records(box=block, data=_block(block, tail))


def _digit_spans(start: int, stop: int) -> list[tuple[int, int]]:
    """The range cut where the number of decimal digits changes."""
    powers = [10**d for d in range(1, 19) if start < 10**d < stop]
    return list(pairwise([start, *powers, stop]))


def _block(box: Box, tail: bytes) -> NDArray[np.uint8]:
    t, x, y, z = (_digits(a, b) for a, b in zip(box.start, box.stop, strict=True))
    name = b"x%s_y%s_z%s_t%s" % tuple(b"0" * digits.shape[1] for digits in (x, y, z, t))
    prefix = b"$%d\r\n" % len(name)
    record = np.frombuffer(prefix + name + b"\r\n" + tail, np.uint8)
    at_x = len(prefix) + 1
    at_y = at_x + x.shape[1] + 2
    at_z = at_y + y.shape[1] + 2
    at_t = at_z + z.shape[1] + 2

    row = np.empty((len(z), len(record)), np.uint8)
    row[:] = record
    row[:, at_z : at_z + z.shape[1]] = z
    data = np.empty((*box.shape, len(record)), np.uint8)
    data.reshape(-1, row.size)[:] = row.reshape(-1)
    # One digit at a time: the long loop is then over the points, not over two or three digits.
    for k in range(x.shape[1]):
        data[..., at_x + k] = x[:, k, None, None]
    for k in range(y.shape[1]):
        data[..., at_y + k] = y[:, k, None]
    for k in range(t.shape[1]):
        data[..., at_t + k] = t[:, k, None, None, None]
    return data


def _digits(start: int, stop: int) -> NDArray[np.uint8]:
    """Decimal digits of start … stop−1, all of the same length: uint8 [n, digits]."""
    width = len(str(start))
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return (np.arange(start, stop, dtype=np.int64)[:, None] // powers % 10 + ord("0")).astype(np.uint8)
