"""The values of a Gaussian cube file, which are text: where they are, and reading a block of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import FileIO
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ....errors import InvalidInput
from ..variable import Slices
from .cube_header import with_letter

BLOCK_BYTES: Final = 1 << 20
"""Bytes that are looked through at a time."""

MARK_NUMBERS: Final = 65_536
"""Numbers from one remembered position in the file to the next."""

_BLANK: Final = np.zeros(256, np.bool_)
_BLANK[list(b" \t\n\r\v\f")] = True


def find_marks(file: FileIO, begin: int) -> tuple[int, NDArray[np.int64]]:
    """How many numbers there are from byte `begin` on, and the marks.

    The marks are the bytes at which every MARK_NUMBERS-th number begins, and the end of the file.
    """
    file.seek(begin)
    marks: list[NDArray[np.int64]] = []
    count, position, after_blank = 0, begin, True
    while data := file.read(BLOCK_BYTES):
        blank = _BLANK[np.frombuffer(data, np.uint8)]
        # A number begins at each byte that is not blank and follows a blank one.
        starts = np.flatnonzero(np.concatenate(([after_blank], blank[:-1])) & ~blank)
        marks.append(starts[-count % MARK_NUMBERS :: MARK_NUMBERS] + position)
        count += len(starts)
        position += len(data)
        after_blank = bool(blank[-1])
    return count, np.append(np.concatenate(marks), position) if marks else np.array([position])


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeValues:
    """The values of a cube: of `held` at each voxel the one at index `chosen`."""

    file: FileIO
    name: str
    shape: tuple[int, int, int]
    held: int
    chosen: int
    marks: NDArray[np.int64] = field(repr=False)

    def read(self, slices: Slices) -> NDArray[np.float64]:
        """A block [x, y, z]; the planes of x that it is in are read whole.

        Raises InvalidInput if something in them is no number.
        """
        x, y, z = slices
        plane = self.shape[1] * self.shape[2]
        numbers = self._between(x.start * plane * self.held, x.stop * plane * self.held)
        # The file has the voxels in C order, z fastest, and all values of a voxel together: [x, y, z, value].
        return numbers.reshape(-1, *self.shape[1:], self.held)[:, y, z, self.chosen]

    def _between(self, start: int, stop: int) -> NDArray[np.float64]:
        """The numbers start … stop−1 of the file, read from the mark before them to the one after."""
        first, last = start // MARK_NUMBERS, -(-stop // MARK_NUMBERS)
        begin, end = int(self.marks[first]), int(self.marks[last])
        self.file.seek(begin)
        words = self.file.read(end - begin).replace(b"D", b"E").replace(b"d", b"e").split()
        skipped = first * MARK_NUMBERS
        try:
            numbers = _numbers(np.array(words[start - skipped : stop - skipped], np.bytes_))
        except ValueError as error:
            raise InvalidInput(
                f"{self.name} holds something among its numbers {start} to {stop} that is none"
            ) from error
        if len(numbers) != stop - start:
            raise InvalidInput(f"{self.name} was cut short while it was read")
        return numbers


def _numbers(words: NDArray[np.bytes_]) -> NDArray[np.float64]:
    """The numbers that words stand for. Raises ValueError if one of them is none.

    Exponents without their letter are looked for only where numpy cannot read the words.
    """
    try:
        return words.astype(np.float64)
    except ValueError:
        # [word, letter]: a word lacks its letter if a sign follows a digit or a point.
        letters = words.view(np.uint8).reshape(len(words), -1)
        signs = (letters[:, 1:] == ord("+")) | (letters[:, 1:] == ord("-"))
        (bare,) = np.nonzero((signs & (letters[:, :-1] <= ord("9"))).any(axis=1))
        mended = words.astype(f"S{words.itemsize + 1}")
        mended[bare] = [with_letter(word) for word in words[bare].tolist()]
        return mended.astype(np.float64)
