"""An array that is in a file in one piece: a `.npy` file, a stored member of `.npz`, raw numbers, a block of HDF5.

Pieces are read, not mapped. That is as fast (both 18 GB/s from the page cache, in pieces of
1 MiB). A file that is cut short meanwhile is an error and not a SIGBUS, and its pages do not
count as memory of this process.
"""

from __future__ import annotations

import math
from functools import partial
from io import FileIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
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
    if fortran:
        # [x, y, z] in Fortran order has the bytes of [z, y, x] in C order, of which it is the transpose.
        return read_contiguous(file, path, offset, shape[::-1], dtype, slices[::-1]).T
    values: NDArray[Any] = np.empty([span.stop - span.start for span in slices], dtype)
    sizes = values.shape
    # A run is what is next to each other in the file: whole along all dimensions after `axis`, a part along
    # `axis`, one index of each dimension before it. Of [4, 5, 6] the part [2:3, 1:4, :] is one run, axis 1.
    axis, last = len(shape) - 1, 0 if stride is None else 1
    while axis > last and sizes[axis] == shape[axis]:
        axis -= 1
    axis = max(axis, last)
    # One offset for each run, in C order: from the last dimension to the first, each offset so far is
    # repeated for every index of the next dimension before `axis`. `step` are the bytes of one index.
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
    target = values.reshape(-1).view(np.uint8).data
    length = len(target) // len(offsets)
    for i, begin in enumerate(offsets):
        run = target[i * length : (i + 1) * length]
        file.seek(begin)
        while run:
            nbytes = file.readinto(run)
            if not nbytes:
                raise InvalidInput(f"{path} was cut short while it was read")
            run = run[nbytes:]
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
