"""Fortran's unformatted sequential files: each record has its length in bytes before it and after it.

Source: GNU Fortran manual, "File format of unformatted sequential files"; Intel's compiler
writes the same. A mark is 4 bytes (8 with -frecord-marker=8). A record of 2 GiB or more is
written in parts: a mark before a part is negative if more of the record follows, and one
after a part if some of it came before.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import FileIO
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

MOST: Final = 1_000_000
"""Parts of records that are looked for: a file of more was not written for its speed."""

MARKS: Final = (4, 8)
"""Bytes that a mark can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Where the parts of records lie: `begins` and `sizes` in bytes, `marks` the bytes of a mark."""

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


def records_of(file: IO[bytes], marks: tuple[int, ...] = MARKS) -> Records | None:
    """The records of a file that consists of them, from its beginning to its end; None if it does not."""
    for width in marks:
        for order in "<>":
            if (found := _walked(file, np.dtype(f"{order}i{width}"))) is not None:
                return found
    return None


def _walked(file: IO[bytes], mark: np.dtype[Any]) -> Records | None:
    end = file.seek(0, 2)
    begins: list[int] = []
    sizes: list[int] = []
    records, place, goes_on = 0, 0, False
    while place < end:
        before = _mark(file, place, mark)
        size = abs(before)
        after = _mark(file, place + mark.itemsize + size, mark) if size <= end - place else 0
        if abs(after) != size or (after < 0) != goes_on or len(sizes) == MOST or not (place or size):
            return None
        begins.append(place + mark.itemsize)
        sizes.append(size)
        goes_on = before < 0
        records += not goes_on
        place += size + 2 * mark.itemsize
    if place != end or goes_on or not sizes:
        return None
    return Records(
        begins=np.array(begins, np.int64),
        sizes=np.array(sizes, np.int64),
        marks=mark.itemsize,
        records=records,
    )


def _mark(file: IO[bytes], place: int, mark: np.dtype[Any]) -> int:
    file.seek(place)
    data = file.read(mark.itemsize)
    return int(np.frombuffer(data, mark)[0]) if len(data) == mark.itemsize else 0


class WithoutMarks(FileIO):
    """What lies between the marks, as if it lay in one piece."""

    def __init__(self, path: str, records: Records) -> None:
        super().__init__(path)
        self._records = records
        self._ends = records.sizes.cumsum()
        self._place = 0

    def seek(self, place: int, whence: int = 0, /) -> int:
        self._place = place
        return place

    def readinto(self, room: Any, /) -> int:
        """Up to the end of the part of a record that it is in: as much as fits. Returns how many bytes."""
        part = int(np.searchsorted(self._ends, self._place, "right"))
        if part == len(self._ends):
            return 0
        left = int(self._ends[part]) - self._place
        super().seek(int(self._records.begins[part] + self._records.sizes[part]) - left)
        got = super().readinto(memoryview(room).cast("B")[:left]) or 0
        self._place += got
        return got
