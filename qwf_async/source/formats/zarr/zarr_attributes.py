"""What a Zarr array says of itself: names of its dimensions, and its packing.

Formats: names of dimensions are those of version 3's `dimension_names`, or of xarray's attribute
`_ARRAY_DIMENSIONS`.
"""

from __future__ import annotations

from typing import Any

from ..packing import Packing, packing_of


def names_in_zarr(item: Any) -> tuple[str | None, ...]:
    """The names of its dimensions, None for each that has none."""
    names = getattr(item.metadata, "dimension_names", None) or item.attrs.get("_ARRAY_DIMENSIONS")
    known = (
        tuple(names) if isinstance(names, list | tuple) and len(names) == item.ndim else (None,) * item.ndim
    )
    return tuple(None if name is None else str(name) for name in known)


def packing_in_zarr(item: Any, what: str, *, netcdf: bool = False) -> Packing | None:
    """The packing of an array: by its attributes, and in version 2 by its fill value.

    As xarray has it, the fill value means missing in an array of version 2 with names of
    dimensions. In any other array it is a number like others, that of what was never written.
    `netcdf`: the NetCDF library wrote the array, so that its default fill values mean missing; in
    `fill_value` it has them rounded to six digits. Raises InvalidInput, naming `what`, if an
    attribute cannot be understood.
    """
    means_missing = item.metadata.zarr_format == 2 and "_ARRAY_DIMENSIONS" in item.attrs
    fill = item.fill_value if means_missing else None
    return packing_of(item.dtype, item.attrs, what=what, netcdf=netcdf, fill=fill)
