"""Fortran's unformatted sequential files: each record has its length in bytes before it and after it.

Source: GNU Fortran manual, "File format of unformatted sequential files"; Intel's compiler
writes the same. A mark is 4 bytes (8 with -frecord-marker=8). A record of 2 GiB or more is
written in parts. The mark before a part is negative if more of the record follows; the mark
after a part is negative if some of the record came before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import FileIO
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

MAX_PARTS: Final = 1_000_000
"""Parts of records that are looked for: nobody who cares for speed writes a file of more."""

MARK_WIDTHS: Final = (4, 8)
"""Bytes that a mark can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Where the parts of records are: `begins` and `sizes` in bytes; `marks` are the bytes of a mark."""

    begins: NDArray[np.int64]
    sizes: NDArray[np.int64]
    marks: int
    records: int

    @property
    def bytes(self) -> int:
        """Bytes between the marks."""
        return int(self.sizes.sum())

    def described(self) -> str:
        """What such a file is, and how it is read."""
        many = "one record" if self.records == 1 else f"{self.records} records"
        return (
            f"an unformatted file of Fortran, {many} of {self.bytes} bytes in all between record marks of {self.marks} "
            f"bytes: give the shape and type of its numbers, and marks={self.marks}, as in "
            f":shape=64x64x64,dtype=c16,marks={self.marks}"
        )


def records_of(file: IO[bytes], marks: tuple[int, ...] = MARK_WIDTHS) -> Records | None:
    """The records of a file that consists of them, from its beginning to its end; None if it does not."""
    for width in marks:
        for order in "<>":
            if (records := _records(file, np.dtype(f"{order}i{width}"))) is not None:
                return records
    return None


def _records(file: IO[bytes], mark: np.dtype[Any]) -> Records | None:
    """The same for marks of one type."""
    end = file.seek(0, 2)
    begins: list[int] = []
    sizes: list[int] = []
    records, position, goes_on = 0, 0, False
    while position < end:
        before = _mark(file, position, mark)
        size = abs(before)
        after = _mark(file, position + mark.itemsize + size, mark) if size <= end - position else 0
        is_first_empty = position == 0 and size == 0
        if abs(after) != size or (after < 0) != goes_on or len(sizes) == MAX_PARTS or is_first_empty:
            return None
        begins.append(position + mark.itemsize)
        sizes.append(size)
        goes_on = before < 0
        records += not goes_on
        position += size + 2 * mark.itemsize
    if position != end or goes_on or not sizes:
        return None
    return Records(
        begins=np.array(begins, np.int64),
        sizes=np.array(sizes, np.int64),
        marks=mark.itemsize,
        records=records,
    )


def _mark(file: IO[bytes], position: int, mark: np.dtype[Any]) -> int:
    """The number in a mark, 0 if the file ends before it."""
    file.seek(position)
    data = file.read(mark.itemsize)
    return int(np.frombuffer(data, mark)[0]) if len(data) == mark.itemsize else 0


class WithoutMarks(FileIO):
    """A file of records read as if their bytes were in one piece, without the marks."""

    def __init__(self, path: str, records: Records) -> None:
        super().__init__(path)
        self._records = records
        self._ends = records.sizes.cumsum()
        self._position = 0

    def seek(self, position: int, whence: int = 0, /) -> int:
        self._position = position
        return position

    def readinto(self, buffer: Any, /) -> int:
        """Read as much as fits, up to the end of one part of a record. Returns how many bytes."""
        part = int(np.searchsorted(self._ends, self._position, "right"))
        if part == len(self._ends):
            return 0
        left = int(self._ends[part]) - self._position
        super().seek(int(self._records.begins[part] + self._records.sizes[part]) - left)
        count = super().readinto(memoryview(buffer).cast("B")[:left]) or 0
        self._position += count
        return count
