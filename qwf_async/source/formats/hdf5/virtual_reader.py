"""Reading an HDF5 virtual data set with few of its sources open at a time.

The library keeps each source open until the data set is closed, and where it cannot open one
more (`ulimit -n`), it takes fill values without a word: of 100 sources, 64 files allowed, 41
read as zeros (HDF5 2.0). So the data set is opened anew every few sources (2 ms if there are
2,000), and a box that touches more is read in parts.
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

OPEN: Final = 64
"""Files of sources that are open at a time; the least that a system allows is 256."""

OTHERS: Final = 64
"""Files that this process may need besides, where more than `OPEN` are needed at once."""


@dataclass(slots=True, kw_only=True)
class VirtualReader:
    """`item` is the data set; `start` and `stop` bound what each source is taken for, and `files` it opens."""

    h5py: Any
    what: str
    item: Any
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    files: NDArray[np.int64]
    _touched: int = 0

    @classmethod
    def of(cls, h5py: Any, what: str, item: Any, pieces: Sequence[Piece]) -> VirtualReader:
        """Raises InvalidInput if it needs more files at once than this process may open."""
        made = cls(
            h5py=h5py,
            what=what,
            item=item,
            start=np.array([piece.start for piece in pieces], np.int64),
            stop=np.array([piece.stop for piece in pieces], np.int64),
            files=np.array([piece.files for piece in pieces], np.int64),
        )
        for piece in pieces[:1]:
            check_limit(what, made._asked(tuple(slice(n, n + 1) for n in piece.start)))
        return made

    def read(self, slices: Slices) -> NDArray[Any]:
        """The values of a box."""
        values = np.empty([one.stop - one.start for one in slices], self.item.dtype)
        self._fill(values, slices)
        return values

    def _fill(self, values: NDArray[Any], slices: Slices) -> None:
        asked = self._asked(slices)
        axis = int(np.argmax(values.shape))
        if asked > OPEN and values.shape[axis] > 1:
            half = values.shape[axis] // 2
            middle = slices[axis].start + half
            parts = (
                [*slices[:axis], slice(slices[axis].start, middle), *slices[axis + 1 :]],
                [*slices[:axis], slice(middle, slices[axis].stop), *slices[axis + 1 :]],
            )
            if max(self._asked(part) for part in parts) < asked:
                for part, target in zip(parts, np.split(values, [half], axis), strict=True):
                    self._fill(target, tuple(part))
                return
        check_limit(self.what, asked)
        if self._touched + asked > OPEN:
            name, file = self.item.name, self.item.file
            self.item.id.close()
            self.item, self._touched = file[name], 0
        self._touched += asked
        values[...] = self.item[slices]

    def _asked(self, slices: Sequence[slice]) -> int:
        """Files that the sources of a box open, at most."""
        first = np.array([one.start for one in slices])
        end = np.array([one.stop for one in slices])
        touched = ((self.start < end) & (first < self.stop)).all(1)
        return int(self.files[touched].sum())


def check_limit(what: str, files: int) -> None:
    """Raises InvalidInput, naming `what`, if so many files cannot be open at once."""
    if files <= OPEN or sys.platform == "win32":
        return
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and files + OTHERS > allowed:
        raise InvalidInput(
            f"{what} is a virtual data set that needs {files} files open at once, and this process may open "
            f"{allowed}: run `ulimit -n {files + 4 * OTHERS}` first"
        )
