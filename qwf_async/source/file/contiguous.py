"""An array that lies in a file in C order, as in `.npy`, in a stored member of `.npz`, or raw.

Blocks are read, not mapped, for the reasons that `npy` gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from io import FileIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from .variable import Slices, Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Contiguous:
    """The values begin at byte `offset` of the file, in C order.

    With a `stride` there are so many bytes from one index of the first dimension to the next.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    file: FileIO = field(repr=False)
    stride: int | None = None

    def read(self, slices: Slices) -> NDArray[Any]:
        """A block. Raises InvalidInput if the file was cut short."""
        values: NDArray[Any] = np.empty([one.stop - one.start for one in slices], self.dtype)
        # A run may be partial along one axis only, and must be whole along all that follow.
        axis = len(self.shape) - 1
        last = 0 if self.stride is None else 1
        while axis > last and values.shape[axis] == self.shape[axis]:
            axis -= 1
        strides = [self.dtype.itemsize * math.prod(self.shape[a + 1 :]) for a in range(len(self.shape))]
        if self.stride is not None:
            strides[0], axis = self.stride, max(axis, 1)
        offsets = np.array(self.offset + sum(s * one.start for s, one in zip(strides, slices, strict=True)))
        for count, stride in zip(values.shape[:axis], strides, strict=False):
            offsets = np.add.outer(offsets, stride * np.arange(count))
        room = values.reshape(-1).view(np.uint8).data
        length = len(room) // offsets.size
        for i, offset in enumerate(offsets.ravel().tolist()):
            run = room[i * length : (i + 1) * length]
            self.file.seek(offset)
            while run:
                got = self.file.readinto(run)
                if not got:
                    raise InvalidInput(f"{self.path} was cut short while it was read")
                run = run[got:]
        return values


def contiguous(
    path: str,
    *,
    what: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    offset: int,
    file: FileIO,
    fortran: bool = False,
    member: str = "",
) -> Variable:
    """Such an array. One in Fortran order is read as what it is: the transpose of one in C order."""
    lying = Contiguous(
        path=path, shape=shape[::-1] if fortran else shape, dtype=dtype, offset=offset, file=file
    )
    read = (lambda slices: lying.read(slices[::-1]).T) if fortran else lying.read
    return Variable(
        what=what,
        shape=shape,
        dtype=dtype,
        read=read,
        names=(None,) * len(shape),
        fortran=fortran,
        member=member,
    )


def check_length(what: str, size: int, begin: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raises InvalidInput unless `size` bytes are those of such an array that begins at byte `begin`."""
    expected = begin + math.prod(shape) * dtype.itemsize
    if dtype.hasobject or size != expected:
        raise InvalidInput(f"{what} has {size} bytes, where its header says {expected} of plain numbers")


def opened(path: str) -> FileIO:
    """The file, to be closed by the caller. Raises InvalidInput if it cannot be opened."""
    try:
        return FileIO(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{path} cannot be opened: {reason}") from error
