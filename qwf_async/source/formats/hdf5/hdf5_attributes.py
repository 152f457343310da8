"""What an HDF5 data set says of itself: names of its dimensions, its packing, who wrote it.

Formats: dimension scales by "HDF5 Dimension Scale Specification" 1.0; NetCDF-4 by "NetCDF-4 File
Format", appendix of the NetCDF User's Guide.
"""

from __future__ import annotations

from typing import Any, Final

from ..axis_arrays import is_line
from ..packing import Packing, packing_of

NOT_A_VARIABLE: Final = b"This is a netCDF dimension but not a netCDF variable"
"""What the name of a NetCDF dimension without coordinates begins with. Source: netcdf-c, `nc4internal.h`."""

NETCDF_FILE: Final = "_NCProperties"
"""Attribute of the root group by which a file is NetCDF-4, since version 4.4.1. Source: netcdf-c, `nc4internal.h`."""

NETCDF_DIMENSION: Final = "_Netcdf4Dimid"
"""Attribute of the dimension scales of NetCDF-4 files of any version. Source: as above."""

MATLAB: Final = "MATLAB_class"
"""The attribute of arrays of MATLAB, whose dimensions HDF5 has in the other order. Source: hdf5storage's manual."""


def names_in_hdf5(item: Any) -> tuple[str | None, ...]:
    """The names of its dimensions: their labels, or the names of their scales; None for each without one."""
    scales = ((dimension.label, scale_of(dimension)) for dimension in item.dims)
    return tuple(
        label or (scale.name.rpartition("/")[2] if scale is not None else None) for label, scale in scales
    )


def packing_in_hdf5(item: Any, what: str) -> Packing | None:
    """The packing of a data set: by its attributes, and NetCDF's defaults if NetCDF wrote it.

    Raises InvalidInput, naming `what`, if an attribute cannot be understood.
    """
    scales = (scale_of(dimension) for dimension in item.dims)
    netcdf = NETCDF_FILE in item.file.attrs or any(
        NETCDF_DIMENSION in holder.attrs for holder in (item, *scales) if holder is not None
    )
    return packing_of(item.dtype, item.attrs, what=what, netcdf=netcdf)


def scale_of(dimension: Any) -> Any:
    """The first scale of a dimension, None if it has none."""
    return dimension[0] if len(dimension) else None


def stands_for_dimension(scale: Any) -> bool:
    """Whether a data set only stands for a dimension of NetCDF, and holds no coordinates."""
    return bytes(scale.attrs.get("NAME", b"")).startswith(NOT_A_VARIABLE)


def has_values_of_axis(h5py: Any, item: Any) -> bool:
    """Whether a data set holds real numbers along one dimension, which can be coordinates."""
    real = item.id.get_type().get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
    return real and is_line(item.shape or ()) and not stands_for_dimension(item)
