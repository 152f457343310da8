"""An array that lies in a file in one piece, as in `.npy`, in a stored member of `.npz`, raw, or as a block of HDF5.

Pieces are read, not mapped: it is as fast (both 18 GB/s from the page cache, in pieces of
1 MiB), a file that is cut short meanwhile is an error and not a SIGBUS, and its pages do
not count as this process's.
"""

from __future__ import annotations

import math
import os
import stat
from functools import partial
from io import FileIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from .file_stamps import not_regular
from .variable import Slices, Variable


def read_contiguous(
    file: FileIO,
    path: str,
    offset: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    slices: Slices,
    *,
    fortran: bool = False,
    stride: int | None = None,
) -> NDArray[Any]:
    """A part of an array of `shape` whose values begin at byte `offset` of the file, in C or Fortran order.

    With a `stride` there are so many bytes from one index of the first dimension to the
    next. The part is in the order of the file. Raises InvalidInput if the file was cut
    short, OSError if it cannot be read.
    """
    if fortran:  # it is the transpose of an array in C order
        return read_contiguous(file, path, offset, shape[::-1], dtype, slices[::-1]).T
    values: NDArray[Any] = np.empty([one.stop - one.start for one in slices], dtype)
    sizes = values.shape
    # A run may be partial along one axis only, and must be whole along all that follow.
    axis, last = len(shape) - 1, 0 if stride is None else 1
    while axis > last and sizes[axis] == shape[axis]:
        axis -= 1
    axis = max(axis, last)
    offsets, step = [offset], dtype.itemsize
    for along in range(len(shape) - 1, -1, -1):
        if along == 0 and stride is not None:
            step = stride
        first, count = slices[along].start, sizes[along] if along < axis else 1
        offsets = [first * step + i * step + begin for i in range(count) for begin in offsets]
        step *= shape[along]
    if len(offsets) == 1:
        file.seek(offsets[0])
        if file.readinto(values.data) == values.nbytes:
            return values
    room = values.reshape(-1).view(np.uint8).data
    length = len(room) // len(offsets)
    for i, begin in enumerate(offsets):
        run = room[i * length : (i + 1) * length]
        file.seek(begin)
        while run:
            got = file.readinto(run)
            if not got:
                raise InvalidInput(f"{path} was cut short while it was read")
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
    """Such an array, without names of its dimensions."""
    return Variable(
        what=what,
        shape=shape,
        dtype=dtype,
        read=partial(read_contiguous, file, path, offset, shape, dtype, fortran=fortran),
        names=(None,) * len(shape),
        fortran=fortran,
        member=member,
    )


def check_length(what: str, size: int, begin: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raises InvalidInput unless `size` bytes are those of such an array that begins at byte `begin`.

    Python objects, which only unpickling could read, are refused as what they are.
    """
    if dtype.hasobject:
        raise InvalidInput(
            f"{what} holds Python objects (type {dtype}), which are never unpickled here: save the array of numbers "
            "itself, as in numpy.save('psi.npy', numpy.asarray(psi, complex))"
        )
    if shape and min(shape) < 1:
        raise InvalidInput(f"{what} is empty: its shape is {shape}")
    expected = begin + math.prod(shape) * dtype.itemsize
    if size != expected:
        fault = "is cut short" if size < expected else "goes on after its array"
        raise InvalidInput(f"{what} {fault}: {size} bytes, where its header says {expected}")


def opened(path: str) -> FileIO:
    """The file, to be closed by the caller. Raises InvalidInput if it cannot be opened, or is none; never waits."""
    try:
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{path} cannot be opened: {reason}") from error
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):
        file.close()
        raise not_regular(path, mode)
    return file
