"""Names of points in records that lie anywhere in memory, read and checked by numpy: many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box
from .field_names import digit_columns, first_name
from .string_form import IN_RDB


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """Eight bytes of a record from byte `first` on: what all records have there, and where digits are.

    same: 0xff for each byte that all have. digits: 0x80 for each digit. Where these are, `expected` has a 0.
    """

    first: int
    expected: np.uint64
    same: np.uint64
    digits: np.uint64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """How the index along an axis follows from the digits that vary.

    powers: byte of the record → power of ten. offset: what to take off for the index along a block of
    `size` points. stride: how far apart in the C order of the box its neighbours are.
    """

    powers: dict[int, int]
    offset: int
    size: int
    stride: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNames:
    """The names of a block of `points` points of a box, which differ in digits alone, in records of `record_bytes`.

    separators: the bytes of a record at which a name has its underscores. first: the place in
    the C order of the box of the block's first point.
    """

    points: int
    record_bytes: int
    separators: frozenset[int]
    first: int
    words: Sequence[_Word]
    indices: Sequence[_Index]

    @classmethod
    def of(cls, block: Box, value: int, box: Box) -> Self:
        """`value` is the bytes of a value, at the end of a record."""
        begin = IN_RDB.of(first_name(block)) + IN_RDB.begin(value)
        at_name = begin.index(first_name(block))
        powers: dict[int, dict[int, int]] = {3: {}, 2: {}, 1: {}, 0: {}}
        for axis, at, digit in digit_columns(block):
            powers[axis][at_name + at] = 10 ** (len(str(block.start[axis])) - 1 - digit)
        indices, stride, first = [], 1, 0
        for axis, some in powers.items():
            start = block.start[axis]
            if some:
                offset = start % (10 * max(some.values()))
                indices.append(
                    _Index(powers=some, offset=offset, size=block.stop[axis] - start, stride=stride)
                )
            first += (start - box.start[axis]) * stride
            stride *= box.shape[axis]
        return cls(
            points=block.points,
            record_bytes=len(begin) + value,
            separators=frozenset(at for at, byte in enumerate(begin) if at > at_name and byte == ord("_")),
            first=first,
            words=_words(begin, [at for some in powers.values() for at in some]),
            indices=indices,
        )

    def places(self, rows: NDArray[np.uint8]) -> NDArray[np.int64] | None:
        """The place in the C order of the box of the point of each record.

        `rows` is uint8 [records, bytes of one], contiguous. None if there are not as many
        records as points, or if one has another name, or another length of name or value.
        """
        if len(rows) != self.points:
            return None
        digits: dict[int, NDArray[np.uint8]] = {}
        for word in self.words:
            found = np.ndarray((len(rows),), "<u8", rows, word.first, rows.strides[:1]) ^ word.expected
            odd = found & word.same
            if word.digits:
                # A byte from 10 on has bit 7, or gets it with 0x76 added. What is carried into the next byte comes
                # from one that has it.
                odd |= (found + (word.digits - word.digits // 0x80 * 10) | found) & word.digits
                columns = found.view(np.uint8).reshape(-1, 8)
                digits |= {word.first + at: columns[:, at] for at in range(8)}
            if odd.any():
                return None
        places = np.full(len(rows), self.first, np.int64)
        for index in self.indices:
            along = np.full(len(rows), -index.offset, np.int64)
            for at, power in index.powers.items():
                along += digits[at] * np.int64(power)
            if along.min() < 0 or along.max() >= index.size:
                return None
            places += along * index.stride
        return places


def _words(begin: bytes, digits: Sequence[int]) -> list[_Word]:
    """The words that cover the beginning of a record, with digits at these bytes. The last ones may overlap."""
    expected, same, high = bytearray(begin), bytearray(b"\xff" * len(begin)), bytearray(len(begin))
    for at in digits:
        expected[at], same[at], high[at] = ord("0"), 0, 0x80
    words = []
    for first in (*range(0, len(begin) - 8, 8), len(begin) - 8):
        parts = (
            np.uint64(int.from_bytes(some[first : first + 8], "little")) for some in (expected, same, high)
        )
        words.append(_Word(first=first, expected=next(parts), same=next(parts), digits=next(parts)))
    return words
