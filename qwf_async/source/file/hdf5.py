"""Wavefunctions in HDF5 files, and in NetCDF-4 files, which are HDF5 files too.

Formats: HDF5 File Format Specification 3.0 (read by h5py); dimension scales by "HDF5
Dimension Scale Specification" 1.0; NetCDF-4 by "NetCDF-4 File Format", appendix of the NetCDF
User's Guide. A coordinate is a scale of a dimension, with its unit in the attribute `units`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput, QwfError
from ..foreign import first_line, library
from .contiguous import contiguous, opened
from .field import Field, field_of
from .members import chosen
from .stamp import check_readable, check_unchanged, stamp
from .variable import Slices, Variable, coordinate_of

NOT_A_VARIABLE: Final = b"This is a netCDF dimension but not a netCDF variable"
"""What the name of a NetCDF dimension without coordinates begins with. Source: netcdf-c, `nc4internal.h`."""

PACKED: Final = ("scale_factor", "add_offset")
"""Attributes by which NetCDF values are integers to be scaled. Source: CF conventions 1.11, section 8.1."""


def hdf5(
    path: str | os.PathLike[str],
    member: str | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> Field:
    """ψ in an HDF5 or NetCDF-4 file: a data set of complex or real numbers, or a pair of them.

    `member`: path of the data set within the file; of a group that holds one, or a pair named
    re and im or real and imag; or two paths with a comma, "re,im". Not needed if it is the
    only one. Complex is a compound {r, i}, {re, im} or {real, imag}, or a first or last
    dimension of two. `dims`: which dimension is which axis, by default by the names of the
    dimension scales, or as for `npy`. Axes are those of evenly spaced scales with known
    units; `box` (bohr) and `dt` (ħ/Eh) go before them. The file is open until `close`.
    Raises InvalidInput if the file, the data set or a scale cannot be used; UsageError if
    h5py is missing.
    """
    name = os.fspath(path)
    h5py = library("h5py", extra="files", what="reading HDF5")
    check_readable(name)
    facts = partial(stamp, name)
    before = facts()
    with ExitStack() as undo:
        try:
            file = undo.enter_context(h5py.File(name, "r"))
            sets = _data_sets(h5py, file)
            names = chosen(list(sets), member, name)
            raw = undo.enter_context(opened(name))
            parts = [_variable(h5py, name, sets[one], one, raw) for one in names]
        except QwfError:
            raise
        except Exception as error:  # h5py raises nearly anything for a damaged file
            raise InvalidInput(f"{name} cannot be read as HDF5: {first_line(error)}") from error
        check_unchanged(name, before, facts())
        keep = undo.pop_all()
    try:
        return field_of(
            parts,
            spec=name if member is None else f"{name}:{member}",
            format="HDF5",
            facts=facts,
            release=keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )
    except BaseException:
        keep.close()
        raise


def _data_sets(h5py: Any, file: Any) -> dict[str, Any]:
    """The data sets that can be a wavefunction, by path: those that are no scale of another."""
    found: dict[str, Any] = {}

    def visit(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape and not h5py.h5ds.is_scale(item.id):
            dtype = item.dtype
            if dtype.kind in "cfiu" or (dtype.names is not None and len(dtype.names) == 2):
                found[path] = item

    file.visititems(visit)
    return found


def _variable(h5py: Any, path: str, item: Any, member: str, raw: Any) -> Variable:
    what = f"{path}:/{member}"
    if any(attribute in item.attrs for attribute in PACKED):
        raise InvalidInput(f"{what} is packed (scale_factor, add_offset): store its values as they are")
    scales = [_scale(item.dims[place]) for place in range(len(item.shape))]
    names = [
        dimension.label or (scale.name.rpartition("/")[2] if scale is not None else None)
        for dimension, scale in zip(item.dims, scales, strict=True)
    ]
    coordinates = {
        place: coordinate_of(scale[...], scale.attrs)
        for place, scale in enumerate(scales)
        if scale is not None and not bytes(scale.attrs.get("NAME", b"")).startswith(NOT_A_VARIABLE)
    }
    dtype = _in_file(h5py, item)
    offset = item.id.get_offset() if item.chunks is None and not item.external else None
    if dtype is not None and offset is not None:
        # Read beside the library, whose hyperslabs take as long again.
        lying = contiguous(path, what=what, shape=item.shape, dtype=dtype, offset=offset, file=raw)
        return Variable(
            what=what,
            shape=item.shape,
            dtype=dtype,
            read=lying.read,
            names=tuple(names),
            coordinates=coordinates,
            member=member,
        )
    return Variable(
        what=what,
        shape=item.shape,
        dtype=item.dtype,
        read=partial(_block, item, item.attrs.get("_FillValue")),
        names=tuple(names),
        chunk=item.chunks,
        coordinates=coordinates,
        member=member,
    )


def _in_file(h5py: Any, item: Any) -> np.dtype[Any] | None:
    """The type if the bytes in the file are those of a numpy array of it, with no value that means none."""
    dtype: np.dtype[Any] = item.dtype
    same = dtype.kind in "cfiu" and item.id.get_type().equal(h5py.h5t.py_create(dtype, logical=True))
    return dtype if same and "_FillValue" not in item.attrs else None


def _block(item: Any, missing: Any, slices: Slices) -> NDArray[Any]:
    values: NDArray[Any] = item[slices]
    if missing is not None and values.dtype.kind == "f":
        values[values == missing] = np.nan
    return values


def _scale(dimension: Any) -> Any:
    """The first scale of a dimension, if it has one."""
    return dimension[0] if len(dimension) else None
