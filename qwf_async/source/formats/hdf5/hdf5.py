"""Wavefunctions in HDF5 files, and in NetCDF-4 files, which are HDF5 files too.

Formats: HDF5 File Format Specification 3.0 (read by h5py); dimension scales by "HDF5
Dimension Scale Specification" 1.0; NetCDF-4 by "NetCDF-4 File Format", appendix of the NetCDF
User's Guide. A coordinate is a scale of a dimension, with its unit in the attribute `units`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

import numpy as np

from ....checked import checked
from ....optional import library
from ..axis_arrays import SPELLINGS, axes_among, is_line, nearest_axis_arrays
from ..contiguous import opened
from ..file_stamps import FileStamps
from ..member_choice import choose_members
from ..open_files import OpenFiles, open_files, spec_of
from ..packing import Packing, packing_of
from ..variable import AxisArray, Coordinate, Variable, coordinate_of, transposed
from ..variable_source import VariableSource, holds_complex, variable_source
from .hdf5_blocks import Reader, reader_of
from .hdf5_links import LinkedFiles, data_sets, follow
from .value_sources import ValueSources
from .virtual_reader import VirtualReader, check_limit

NOT_A_VARIABLE: Final = b"This is a netCDF dimension but not a netCDF variable"
"""What the name of a NetCDF dimension without coordinates begins with. Source: netcdf-c, `nc4internal.h`."""

NETCDF_FILE: Final = "_NCProperties"
"""Attribute of the root group by which a file is NetCDF-4, since version 4.4.1. Source: netcdf-c, `nc4internal.h`."""

NETCDF_DIMENSION: Final = "_Netcdf4Dimid"
"""Attribute of the dimension scales of NetCDF-4 files of any version. Source: as above."""

MATLAB: Final = "MATLAB_class"
"""The attribute of arrays of MATLAB, whose dimensions HDF5 has in the other order. Source: hdf5storage's manual."""


@checked
def hdf5(
    path: str | os.PathLike[str],
    member: str | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> VariableSource:
    """ψ in an HDF5 or NetCDF-4 file: a data set of complex or real numbers, or a pair of them.

    `member`: path of the data set within the file; of a group that holds one, or a pair named
    re and im or real and imag; or two paths with a comma, "re,im". Not needed if it is the
    only one. Complex is a compound {r, i}, {re, im} or {real, imag}, or a first or last
    dimension of two. `dims`: which dimension is which axis, by default by the names of the
    dimension scales, or as for `npy`. Axes are those of evenly spaced scales with known
    units, or data sets t, x, y, z beside, see `beside`; `box` (bohr) and `dt` (ħ/Eh) go before
    them. The file is open until `close`.
    Raises InvalidInput if the file, the data set or a scale cannot be used; UsageError if
    h5py is missing.
    """
    name = os.fspath(path)
    h5py = library("h5py", extra="files", what="reading HDF5")
    with open_files(name, format="HDF5") as found:
        # Blocks are read whole and once: the library need keep none of them.
        # What has no name the library reads through Python only: it asks for the real path of a path.
        place = name if found.path == name else found.keep.enter_context(opened(found.path))
        file = found.keep.enter_context(h5py.File(place, "r", rdcc_nbytes=0))
        reach = found.keep.enter_context(
            closing(LinkedFiles(h5py=h5py, files=found.files, alone=found.path != name))
        )
        sets = data_sets(reach, file, name, member)
        lost = None in sets.values()  # nobody knows what is behind a link that leads nowhere
        axes = axes_among({key: (item.shape, item.dtype) for key, item in sets.items() if item is not None})
        names = choose_members(
            list(sets), member, name, lambda one: not lost and _is_complex(sets[one]), axes=axes
        )
        items = [follow(reach, file, one, name) for one in names]
        return variable_source(
            [_variable(h5py, found, name, item, one) for item, one in zip(items, names, strict=True)],
            spec=spec_of(name, member),
            format="HDF5",
            files=found.files,
            release=found.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def _variable(h5py: Any, found: OpenFiles, path: str, item: Any, member: str) -> Variable:
    what = f"{path}:/{member}"
    scales = [_scale(dimension) for dimension in item.dims]
    alone = found.path != path
    with closing(LinkedFiles(h5py=h5py, files=found.files, alone=alone)) as reach:
        origin = ValueSources(reach=reach)
        pieces = origin.look(item, what)
        coordinates = {
            place: _coordinate(h5py, origin, scale, f"{path}:{scale.name}", item.shape[place])
            for place, scale in enumerate(scales)
            if scale is not None and not _stands_for_dimension(scale)
        }
    if pieces:
        reader = Reader(read=VirtualReader.of(h5py, what, item, pieces).read)
    else:
        raw = found.keep.enter_context(opened(found.path if alone else item.file.filename))
        reader = reader_of(h5py, item, what, raw)
    variable = Variable(
        what=what,
        shape=item.shape,
        dtype=item.dtype,
        read=reader.read,
        names=names_in_hdf5(item),
        packing=packing_in_hdf5(item, what),
        chunk=pieces[0].chunk if pieces else item.chunks,
        parted=reader.parted,
        parallel=reader.parallel,
        coordinates=coordinates,
        beside=_beside(h5py, found, path, item),
        member=member,
    )
    return transposed(variable) if MATLAB in item.attrs else variable


def files_of_hdf5(item: Any, what: str) -> FileStamps:
    """The files that an open data set takes values from, if it is virtual or has them in raw files.

    Raises InvalidInput, naming `what`, if one is missing, or if they cannot all be open: the
    data set is somebody else's, and cannot be opened anew.
    """
    h5py, files = library("h5py", extra="files", what="reading HDF5"), FileStamps()
    if item.is_virtual or item.external:
        with closing(LinkedFiles(h5py=h5py, files=files)) as reach:
            check_limit(what, sum(piece.files for piece in ValueSources(reach=reach).look(item, what)))
    return files


def names_in_hdf5(item: Any) -> tuple[str | None, ...]:
    """The names of its dimensions: their labels, or the names of their scales."""
    scales = ((dimension.label, _scale(dimension)) for dimension in item.dims)
    return tuple(
        label or (scale.name.rpartition("/")[2] if scale is not None else None) for label, scale in scales
    )


def _is_complex(item: Any) -> bool:
    return holds_complex(item.dtype, names_in_hdf5(item), item.shape)


def _coordinate(h5py: Any, origin: ValueSources, item: Any, what: str, size: int) -> Coordinate:
    """A coordinate; the values of one that has another size than its dimension need not be read."""
    values = np.broadcast_to(np.nan, item.shape)
    if item.size == size:
        pieces = origin.look(item, what)
        read = VirtualReader.of(h5py, what, item, pieces).read if pieces else item.__getitem__
        values = np.asarray(read(tuple(slice(0, n) for n in item.shape)))
    return coordinate_of(values, item.attrs, packing_in_hdf5(item, what))


def _beside(h5py: Any, found: OpenFiles, path: str, item: Any) -> list[AxisArray]:
    """The data sets in its group, and in those above, that may be axes of a data set."""
    sets: dict[str, Any] = {}
    group = item
    while group.name != "/":
        group = group.parent
        for name in SPELLINGS:
            if isinstance(group.get(name, getlink=True), h5py.HardLink | h5py.SoftLink):
                one = group.get(name)
                if isinstance(one, h5py.Dataset) and _can_be_axis(h5py, one):
                    sets[f"{group.name}/{name}".lstrip("/")] = one

    def read(name: str) -> Coordinate:
        with closing(LinkedFiles(h5py=h5py, files=found.files, alone=found.path != path)) as reach:
            one = sets[name]
            stated = _coordinate(h5py, ValueSources(reach=reach), one, f"{path}:/{name}", one.size)
        return replace(stated, values=stated.values.reshape(-1))

    lengths = {name: one.size for name, one in sets.items()}
    return nearest_axis_arrays(item.name.lstrip("/"), lengths, root=f"{path}:/", read=read)


def _can_be_axis(h5py: Any, item: Any) -> bool:
    """Whether it holds real numbers along one dimension, and not only stands for a dimension of NetCDF."""
    real = item.id.get_type().get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
    return real and is_line(item.shape or ()) and not _stands_for_dimension(item)


def _stands_for_dimension(scale: Any) -> bool:
    return bytes(scale.attrs.get("NAME", b"")).startswith(NOT_A_VARIABLE)


def packing_in_hdf5(item: Any, what: str) -> Packing | None:
    """The packing of a data set, `what` in messages: by its attributes, and NetCDF's defaults if that wrote it."""
    scales = (_scale(dimension) for dimension in item.dims)
    netcdf = NETCDF_FILE in item.file.attrs or any(
        NETCDF_DIMENSION in one.attrs for one in (item, *scales) if one is not None
    )
    return packing_of(item.dtype, item.attrs, what=what, netcdf=netcdf)


def _scale(dimension: Any) -> Any:
    """The first scale of a dimension, if it has one."""
    return dimension[0] if len(dimension) else None
