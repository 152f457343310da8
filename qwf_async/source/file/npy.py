"""Wavefunctions in NumPy's `.npy` files, read a piece at a time.

Format: NumPy Enhancement Proposal 1, versions 1.0 to 3.0.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import FileIO
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...grid import Box, Grid, Order
from ..amplitudes import complex_type, shape_of
from ..analytic.parameters import values_of
from ..foreign import first_line
from ..identity import identity
from .contiguous import read_lying


@dataclass(frozen=True, slots=True, kw_only=True)
class NpyFile:
    """An open `.npy` file; a Source. `offset` (bytes) is where its values begin."""

    path: str
    grid: Grid
    order: Order
    dtype: np.dtype[Any]
    offset: int
    header: str
    size: int
    modified: int
    file: FileIO = field(repr=False)

    @property
    def spec(self) -> str:
        return self.path

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box, in the file's own order; memory is that of the box, twice if converted.

        Raises InvalidInput if the file was changed, cut short or lost since it was opened.
        """
        try:
            values = read_lying(
                self.file,
                self.path,
                self.offset,
                self.grid.shape,
                self.dtype,
                box.slices,
                fortran=self.order == "F",
            )
            now = os.fstat(self.file.fileno())
        except OSError as error:
            raise InvalidInput(f"{self.path} cannot be read: {error.strerror}") from error
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified):
            raise InvalidInput(f"{self.path} was changed while it was read: start again")
        return values.astype(complex_type(self.dtype, self.path), copy=False)

    def fingerprint(self) -> str:
        """Path, size, time of change, a hash of the header, and the grid.

        The values are not read: a file that was touched counts as another. Raises
        InvalidInput if the file is gone.
        """
        path = os.path.realpath(self.path)
        try:
            now = os.stat(path)
        except OSError as error:
            raise InvalidInput(f"{self.path} is gone: {error.strerror}") from error
        return identity(
            path,
            f"size={now.st_size}",
            f"mtime_ns={now.st_mtime_ns}",
            f"header={self.header}",
            grid=self.grid,
        )

    def close(self) -> None:
        """Close the file. May be called twice."""
        self.file.close()


def npy(
    path: str | os.PathLike[str], *, box: float | Sequence[float] | None = None, dt: float | None = None
) -> NpyFile:
    """A `.npy` file of ψ[x], ψ[x, y], ψ[x, y, z] or ψ[t, x, y, z], complex or real.

    C or Fortran order, any byte order; float32 is stored as complex64, other reals as
    complex128. `box`: extent of each axis in bohr, centred on 0, and `dt`: time step in
    ħ/Eh; unknown unless given. The file is open until `close`.
    Raises InvalidInput if there is no such file, if it is not one array in this format
    and of its full length, or if the values have another type; objects are never unpickled.
    """
    name = os.fspath(path)
    with ExitStack() as undo:
        try:
            if not stat.S_ISREG(os.stat(name).st_mode):
                raise InvalidInput(f"{name} is not a regular file")
            file = undo.enter_context(FileIO(name))
            shape, fortran, dtype = read_header(file, name)
            offset = file.tell()
            now = os.fstat(file.fileno())
            file.seek(0)
            header = hashlib.sha256(file.read(offset)).hexdigest()[:16]
        except OSError as error:
            raise InvalidInput(f"{name} cannot be opened: {error.strerror}") from error
        except ValueError as error:
            raise InvalidInput(f"{name} is not a .npy file: {first_line(error)}") from error
        complex_type(dtype, name)
        shape4 = shape_of(shape, name)
        expected = offset + math.prod(shape4) * dtype.itemsize
        if now.st_size != expected:
            fault = "is cut short" if now.st_size < expected else "goes on after its array"
            raise InvalidInput(f"{name} {fault}: {now.st_size} bytes, where its header says {expected}")
        grid = Grid(shape=shape4)
        if box is not None:
            grid = grid.with_box(values_of(box))
        if dt is not None:
            grid = grid.with_time_step(dt)
        undo.pop_all()
    return NpyFile(
        path=name,
        grid=grid,
        order="F" if fortran else "C",
        dtype=dtype,
        offset=offset,
        header=header,
        size=now.st_size,
        modified=now.st_mtime_ns,
        file=file,
    )


def read_header(file: IO[bytes] | FileIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and type, from the place where a `.npy` file begins.

    Raises ValueError or InvalidInput.
    """
    version = npy_format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"unknown version {version[0]}.{version[1]}")
    # Version 3 differs from 2 only in the names of a structured type, which is refused anyway.
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    try:
        return read(file)
    except Exception as error:  # a damaged header can raise nearly anything out of ast
        raise InvalidInput(f"{name} has a damaged .npy header: {first_line(error)}") from error
