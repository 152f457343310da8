"""Arrays as sources: of NumPy, or of any library that yields a block at a time (see `lazy`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import Grid
from ..lattice.plan import BoxPlan
from ..optional import first_line
from ..wording import shortened
from .base import identity
from .elements import unmasked
from .formats.file_stamps import FileStamps
from .formats.hdf5.hdf5 import files_of_hdf5
from .formats.variable_source import VariableSource, variable_source
from .lazy import array_variable, is_lazy, library_of


class ArraySource(VariableSource):
    """A `VariableSource` of an array that the user passed; its fingerprint is of its values."""

    __slots__ = ()

    @property
    def psi(self) -> NDArray[Any]:
        """All of ψ, [t, x, y, z]: a view if the array is in memory, complex and in native byte order."""
        return self.read(self.grid.whole)

    def fingerprint(self) -> str:
        """A hash of all values, as they are stored, and the grid; of an array of dask its name instead.

        The hash reads the whole array once. The name follows from how dask makes the array: a
        file that was changed in place may keep it.
        """
        names = [part.member for part in self.parts]
        if all(names):
            return identity(self.spec, f"dask={','.join(names)}", f"dims={self.letters}", grid=self.grid)
        from xxhash import xxh3_128  # no other source needs it

        digest = xxh3_128()
        for chunk in BoxPlan.cut(self.grid.shape, order=self.order):
            digest.update(np.ascontiguousarray(self.read(chunk.box)).data)
        return identity(self.spec, f"dims={self.letters}", f"xxh3={digest.hexdigest()}", grid=self.grid)


@checked
def array(
    psi: Any,
    grid: Grid | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> ArraySource:
    """A wavefunction in an array, which is not copied: do not change it before it is stored.

    `psi`: [x], [x, y], [x, y, z] or [t, x, y, z] in any memory order and byte order. Its values are
    complex or real, or records of two real fields (r and i, re and im, real and imag). float32 is
    stored as complex64, other reals as complex128.

    An array of another library than NumPy (dask, zarr, h5py, netCDF4) is read, and computed, a block
    at a time: it needs a shape, a dtype and blocks by index. If its dimensions are named t (or
    time), x, y, z, they are brought to this order. The evenly spaced coordinates of an xarray
    DataArray become the axes, with their `units` converted to atomic units.

    `dims`: which dimension is which axis, "x,y,z,t" in their order or "lon=x" by name. `grid`:
    where its points lie; its shape must be that of the array. `box` (bohr) and `dt` (ħ/Eh) give
    the extents instead. Without them the spacing is unknown.

    Raises InvalidInput for something that is no array, an empty array, and values of another type.
    Also for a shape that does not fit, unknown names of dimensions, and coordinates that cannot be
    used. Also if the first or last dimension is of two real numbers, which may be re and im or two
    points, and neither `dims` nor `grid` says which.
    """
    return arrays([psi], grid, dims=dims, box=box, dt=dt)


def arrays(
    psi: Sequence[Any],
    grid: Grid | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> ArraySource:
    """A wavefunction in one array, or in two: real part, imaginary part. Else as `array`."""
    held = [values if is_lazy(values) else _in_memory(values) for values in psi]
    in_memory = not any(map(is_lazy, held))
    values = held[0]
    source = variable_source(
        list(map(array_variable, held)),
        spec="",
        format="array",
        files=files_of_hdf5(values, "the array") if hasattr(values, "is_virtual") else FileStamps(),
        dims=dims,
        box=box,
        dt=dt,
        grid=grid,
        held=in_memory,
    )
    spec = f"{library_of(values)} array of {values.dtype}, shape {source.grid.shape}".lstrip()
    return source.extended(ArraySource, spec=spec)


def _in_memory(values: Any) -> NDArray[Any]:
    """A value as an array of NumPy. Raises InvalidInput for something that is no array, or holds several."""
    if isinstance(values, str | os.PathLike):
        raise InvalidInput("a path is no array: sources.files reads what a file holds")
    if hasattr(values, "keys") and not hasattr(values, "shape"):
        names = ", ".join(sorted(map(str, values))) or "none"
        raise InvalidInput(
            f"a {type(values).__name__} is no array, but holds arrays by their names: choose one, it has "
            f"{shortened(names)}"
        )
    try:
        return unmasked(values)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"a {type(values).__name__} is no array of numbers: {first_line(error)}"
        ) from error
