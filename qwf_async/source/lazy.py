"""Arrays of any library as a `Variable`: how it is read by blocks, and what it says of its dimensions.

Arrays of dask, xarray, zarr, h5py, netCDF4 and h5netcdf are read a block at a time. None of these
libraries is imported here: a user who passes an array has imported its library already.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidInput
from .formats.coordinate import Coordinate, coordinate_of
from .formats.hdf5.hdf5_attributes import names_in_hdf5, packing_in_hdf5
from .formats.mass_attribute import mass_of
from .formats.packing import Packing, packing_of
from .formats.variable import Slices, Variable
from .formats.zarr.zarr_attributes import names_in_zarr, packing_in_zarr


def is_lazy(values: Any) -> bool:
    """Whether something can be read a block at a time, and is not an array of NumPy."""
    return not isinstance(values, np.ndarray) and all(
        hasattr(values, name) for name in ("shape", "dtype", "__getitem__")
    )


def library_of(values: Any) -> str:
    """The name of the library whose array it is, "" for NumPy's."""
    return "" if isinstance(values, np.ndarray) else type(values).__module__.partition(".")[0]


def array_variable(values: Any) -> Variable:
    """The array with its names of dimensions, blocks, coordinates and packing; nothing is read but coordinates.

    Raises InvalidInput for coordinates or a packing that cannot be used.
    """
    shape = tuple(int(n) for n in values.shape)
    names = _names(values)
    coordinates: dict[int, Coordinate] = {}
    if hasattr(values, "coords"):
        for dimension, name in enumerate(names):
            if name in values.coords:
                along = values.coords[name]
                coordinates[dimension] = coordinate_of(along.values, along.attrs, _packing(along))
    return Variable(
        what="the array",
        shape=shape,
        dtype=np.dtype(values.dtype),
        read=lambda slices: _computed(values, slices),
        names=tuple(None if name is None else str(name) for name in names),
        packing=_packing(values),
        chunk=_blocks(values, shape),
        fortran=isinstance(values, np.ndarray) and values.flags.fnc,
        coordinates=coordinates,
        member=_dask_name(values),
        mass=mass_of(getattr(values, "attrs", {}), "the array"),
    )


def _dask_name(values: Any) -> str:
    """The name of an array of dask, or of that within an array of xarray; "" for other arrays.

    The data of xarray is asked for only if it has chunks: else asking would read it.
    """
    if getattr(values, "chunks", None) is None:
        return ""
    data = values.data if library_of(values) == "xarray" else values
    return str(data.name) if library_of(data) == "dask" else ""


def _names(values: Any) -> tuple[Any, ...]:
    """The names of its dimensions, None for each without a name.

    xarray keeps them in `dims`, netCDF4 and h5netcdf in `dimensions`.
    """
    library = library_of(values)
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
    """The size along each dimension of the largest block in which it is computed or stored; None without blocks."""
    chunks = getattr(values, "chunks", None)
    if not chunks or len(chunks) != len(shape):
        return None
    return tuple(
        min(n, max(sizes) if isinstance(sizes, tuple) else int(sizes))
        for sizes, n in zip(chunks, shape, strict=True)
    )


def _computed(values: Any, slices: Slices) -> Any:
    """A block, perhaps masked. dask runs only the tasks that the block depends on, in its own scheduler."""
    block = values[slices]
    return block.compute() if hasattr(block, "compute") else block


def _packing(values: Any) -> Packing | None:
    """How the numbers of an array are packed; None if they are not, as where xarray has unpacked them."""
    library = library_of(values)
    if library == "h5py":
        return packing_in_hdf5(values, "the array")
    if library == "zarr":
        return packing_in_zarr(values, "the array")
    if library == "netCDF4":
        return _packing_in_netcdf4(values)
    attributes = getattr(values, "attrs", {})
    return packing_of(np.dtype(values.dtype), attributes, what="the array", netcdf=library == "h5netcdf")


def _packing_in_netcdf4(values: Any) -> Packing | None:
    """How its numbers are packed if netCDF4 was told to leave them as they are. By default it unpacks them itself.

    Raises InvalidInput if it was told to do only one half, masking or scaling: in numbers that are
    scaled already, a missing value cannot be recognised.
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
