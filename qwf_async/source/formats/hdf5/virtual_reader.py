"""Reading an HDF5 virtual data set with few of its sources open at a time.

The library keeps each source open until the data set is closed. Where it cannot open one more
(`ulimit -n`) it takes fill values without a word: of 100 sources, with 64 files allowed, 41 were
read as zeros (HDF5 2.0). So the data set is opened anew every few sources, which takes 2 ms if
there are 2,000, and a box that touches more is read in parts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ....errors import InvalidInput
from ..variable import Slices
from .virtual_mapping import Piece

MAX_OPEN_SOURCES: Final = 64
"""Files of sources that are open at a time; the least that a system allows is 256."""

RESERVED: Final = 64
"""Files that this process can need besides, where more than `MAX_OPEN_SOURCES` are needed at once."""


@dataclass(slots=True, kw_only=True)
class VirtualReader:
    """Reads the data set `item`.

    `start` and `stop`, [source, dimension], bound the piece that comes from each source, and
    `files`, [source], are how many files it opens.
    """

    h5py: Any
    what: str
    item: Any
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    files: NDArray[np.int64]
    _touched: int = 0

    @classmethod
    def of(cls, h5py: Any, what: str, item: Any, pieces: Sequence[Piece]) -> VirtualReader:
        """The reader of a virtual data set. Raises InvalidInput if this process may not open as many files."""
        reader = cls(
            h5py=h5py,
            what=what,
            item=item,
            start=np.array([piece.start for piece in pieces], np.int64),
            stop=np.array([piece.stop for piece in pieces], np.int64),
            files=np.array([piece.files for piece in pieces], np.int64),
        )
        for piece in pieces[:1]:
            check_limit(what, reader._needed(tuple(slice(n, n + 1) for n in piece.start)))
        return reader

    def read(self, slices: Slices) -> NDArray[Any]:
        """The values of a box."""
        values = np.empty([span.stop - span.start for span in slices], self.item.dtype)
        self._fill(values, slices)
        return values

    def _fill(self, values: NDArray[Any], slices: Slices) -> None:
        """Read a box into `values`, in halves along its longest dimension if it needs too many files."""
        needed = self._needed(slices)
        axis = int(np.argmax(values.shape))
        if needed > MAX_OPEN_SOURCES and values.shape[axis] > 1:
            half = values.shape[axis] // 2
            middle = slices[axis].start + half
            parts = (
                [*slices[:axis], slice(slices[axis].start, middle), *slices[axis + 1 :]],
                [*slices[:axis], slice(middle, slices[axis].stop), *slices[axis + 1 :]],
            )
            if max(self._needed(part) for part in parts) < needed:
                for part, target in zip(parts, np.split(values, [half], axis), strict=True):
                    self._fill(target, tuple(part))
                return
        check_limit(self.what, needed)
        if self._touched + needed > MAX_OPEN_SOURCES:
            name, file = self.item.name, self.item.file
            self.item.id.close()
            self.item, self._touched = file[name], 0
        self._touched += needed
        values[...] = self.item[slices]

    def _needed(self, slices: Sequence[slice]) -> int:
        """How many files the sources of a box open, at most."""
        first = np.array([span.start for span in slices])
        end = np.array([span.stop for span in slices])
        touched = ((self.start < end) & (first < self.stop)).all(1)
        return int(self.files[touched].sum())


def check_limit(what: str, files: int) -> None:
    """Raises InvalidInput, naming `what`, if so many files cannot be open at once."""
    if files <= MAX_OPEN_SOURCES or sys.platform == "win32":
        return
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and files + RESERVED > allowed:
        raise InvalidInput(
            f"{what} is a virtual data set that needs {files} files open at once, and this process may open "
            f"{allowed}: run `ulimit -n {files + 4 * RESERVED}` first"
        )
