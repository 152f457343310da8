"""Arrays as sources: in memory, or of any library that yields a block at a time (dask, xarray, zarr, h5py)."""

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
from .formats.coordinate import Coordinate, coordinate_of
from .formats.file_stamps import FileStamps
from .formats.hdf5.hdf5 import files_of_hdf5
from .formats.hdf5.hdf5_attributes import names_in_hdf5, packing_in_hdf5
from .formats.packing import Packing, packing_of
from .formats.variable import Slices, Variable
from .formats.variable_source import VariableSource, variable_source
from .formats.zarr.zarr_attributes import names_in_zarr, packing_in_zarr


class ArraySource(VariableSource):
    """A `VariableSource` of an array that somebody handed over: known again by its values."""

    __slots__ = ()

    @property
    def psi(self) -> NDArray[Any]:
        """All of ψ, [t, x, y, z]: a view if the array is in memory, complex and in native byte order."""
        return self.read(self.grid.whole)

    def fingerprint(self) -> str:
        """A hash of all values, as they are stored, and the grid: reads, and computes, the array once."""
        from xxhash import xxh3_128

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
    """A wavefunction in an array, not copied; leave it alone until it is stored.

    `psi`: [x], [x, y], [x, y, z] or [t, x, y, z], complex or real, or records of two real
    fields (r and i, re and im, real and imag), any order and byte order; float32 is stored as
    complex64, other reals as complex128. An array that is not numpy's but has a shape, a dtype
    and blocks by index (of dask, zarr, h5py, netCDF4) is read, and computed, a block at a time.
    One with names of dimensions, t (or time), x, y, z, is turned to this order; of an xarray
    DataArray the evenly spaced coordinates become the axes: their `units` are converted to
    atomic units.
    `dims`: which dimension is which axis, "x,y,z,t" in their order or "lon=x" by name. `grid`:
    where its points lie; its shape must be that of the array. `box` (bohr) and `dt` (ħ/Eh) lay
    it over extents. Else the spacing is unknown.
    Raises InvalidInput for what is no array, another shape, an empty array, values of another type, dimensions
    of other names, coordinates that cannot be taken, or a first or last dimension of two real
    numbers, which may be re and im or two points, unless `dims` or `grid` says which.
    """
    held = not _is_lazy(psi)
    values = _in_memory(psi) if held else psi
    found = variable_source(
        [_variable(values)],
        spec="",
        format="array",
        files=files_of_hdf5(values, "the array") if hasattr(values, "is_virtual") else FileStamps(),
        dims=dims,
        box=box,
        dt=dt,
        grid=grid,
        held=held,
    )
    spec = f"{_library(values)}array of {values.dtype}, shape {found.grid.shape}"
    return found.extended(ArraySource, spec=spec)


def _is_lazy(values: Any) -> bool:
    """Whether it can be read a block at a time, and is not an array of numpy."""
    return not isinstance(values, np.ndarray) and all(
        hasattr(values, name) for name in ("shape", "dtype", "__getitem__")
    )


def _in_memory(values: Any) -> NDArray[Any]:
    """An array of numpy of anything that can be one. Raises InvalidInput for what is none, or holds several."""
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


def _library(values: Any) -> str:
    return "" if isinstance(values, np.ndarray) else f"{type(values).__module__.partition('.')[0]} "


def _variable(values: Any) -> Variable:
    shape = tuple(int(n) for n in values.shape)
    names = _names(values)
    coordinates: dict[int, Coordinate] = {}
    chunk = _blocks(values, shape)
    if hasattr(values, "coords"):
        for place, name in enumerate(names):
            if name in values.coords:
                beside = values.coords[name]
                coordinates[place] = coordinate_of(beside.values, beside.attrs, _packing(beside))
    return Variable(
        what="the array",
        shape=shape,
        dtype=np.dtype(values.dtype),
        read=lambda slices: _computed(values, slices),
        names=tuple(None if name is None else str(name) for name in names),
        packing=_packing(values),
        chunk=chunk,
        fortran=isinstance(values, np.ndarray) and values.flags.fnc,
        coordinates=coordinates,
    )


def _names(values: Any) -> tuple[Any, ...]:
    """The names of its dimensions, None for each that has none.

    xarray has them in `dims`, netCDF4 and h5netcdf in `dimensions`.
    """
    library = _library(values).strip()
    if library == "h5py":
        return names_in_hdf5(values)
    if library == "zarr":
        return names_in_zarr(values)
    for attribute in ("dims", "dimensions"):
        names = getattr(values, attribute, None)
        if isinstance(names, tuple) and len(names) == len(values.shape):
            return names
    return (None,) * len(values.shape)


def _blocks(values: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The blocks in which it is computed or stored: the largest along each dimension; None if there are none."""
    chunks = getattr(values, "chunks", None)
    if not chunks or len(chunks) != len(shape):
        return None
    return tuple(
        min(n, max(one) if isinstance(one, tuple) else int(one)) for one, n in zip(chunks, shape, strict=True)
    )


def _computed(values: Any, slices: Slices) -> Any:
    """A block, perhaps masked. Of dask only the tasks that it depends on run, in dask's own scheduler."""
    block = values[slices]
    return block.compute() if hasattr(block, "compute") else block


def _packing(values: Any) -> Packing | None:
    """How the numbers of an array are packed; xarray has unpacked those whose attributes it names no more."""
    library = _library(values).strip()
    if library == "h5py":
        return packing_in_hdf5(values, "the array")
    if library == "zarr":
        return packing_in_zarr(values, "the array")
    if library == "netCDF4":
        return _packing_in_netcdf4(values)
    attributes = getattr(values, "attrs", {})
    return packing_of(np.dtype(values.dtype), attributes, what="the array", netcdf=library == "h5netcdf")


def _packing_in_netcdf4(values: Any) -> Packing | None:
    """How its numbers are packed if netCDF4 was told to leave them as they are; it unpacks them unless it was.

    Raises InvalidInput if it was told to do the half: what is missing cannot be told by
    numbers that are scaled already.
    """
    attributes = {name: values.getncattr(name) for name in values.ncattrs()}
    packed = not attributes.keys().isdisjoint(("scale_factor", "add_offset", "_Unsigned"))
    if values.mask and (values.scale or not packed):
        return None
    if values.mask != values.scale and packed:
        raise InvalidInput(
            "the array is a packed variable that netCDF4 masks or scales, but not both: "
            "call its set_auto_maskandscale(True)"
        )
    return packing_of(np.dtype(values.dtype), attributes, what="the array", netcdf=True)
