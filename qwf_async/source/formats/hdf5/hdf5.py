"""Wavefunctions in HDF5 files, and in NetCDF-4 files, which are HDF5 files too.

Format: HDF5 File Format Specification 3.0, read by h5py. A coordinate is a scale of a dimension,
with its unit in the attribute `units`; see `hdf5_attributes`.
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
from ..axis_arrays import SPELLINGS, axes_among, nearest_axis_arrays
from ..complex_values import holds_complex
from ..content import Content
from ..coordinate import Coordinate, coordinate_of
from ..file_stamps import FileStamps
from ..format import Format, FormatWriter
from ..mass_attribute import mass_of
from ..member_choice import choose_members
from ..open_files import OpenFiles, open_files, spec_of
from ..regular_file import open_regular
from ..variable import AxisArray, Variable, transposed
from ..variable_source import VariableSource, variable_source
from .hdf5_attributes import (
    MATLAB,
    has_values_of_axis,
    names_in_hdf5,
    packing_in_hdf5,
    scale_of,
    stands_for_dimension,
)
from .hdf5_blocks import Reader, reader_of
from .hdf5_links import LinkedFiles, data_sets, follow
from .hdf5_writer import hdf5_file
from .value_sources import ValueSources
from .virtual_reader import VirtualReader, check_limit

HDF5_MAGIC: Final = b"\x89HDF\r\n\x1a\n"
"""What the superblock of a file begins with. Source: HDF5 File Format Specification 3.0, II.A."""

MAX_USER_BLOCK: Final = 1 << 20
"""Bytes of a block of the user's own, up to which the superblock is looked for behind it."""


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
    units, or data sets t, x, y, z beside ψ, see `axis_arrays`; `box` (bohr) and `dt` (ħ/Eh) go
    before them. The file is open until `close`.
    Raises InvalidInput if the file, the data set or a scale cannot be used; UsageError if
    h5py is missing.
    """
    name = os.fspath(path)
    h5py = library("h5py", extra="files", what="reading HDF5")
    with open_files(name, format="HDF5") as opened:
        # The library asks for the real path of a path, which a temporary file has not: it gets the open file.
        path_or_file = name if opened.path == name else opened.keep.enter_context(open_regular(opened.path))
        # Blocks are read whole and once: the library need keep none of them.
        file = opened.keep.enter_context(h5py.File(path_or_file, "r", rdcc_nbytes=0))
        linked = opened.keep.enter_context(
            closing(LinkedFiles(h5py=h5py, files=opened.files, alone=opened.path != name))
        )
        sets = data_sets(linked, file, name, member)
        lost = None in sets.values()  # nobody knows what is behind a link that leads nowhere
        axes = axes_among({key: (item.shape, item.dtype) for key, item in sets.items() if item is not None})
        names = choose_members(
            list(sets), member, name, lambda key: not lost and _is_complex(sets[key]), axes=axes
        )
        items = [follow(linked, file, key, name) for key in names]
        return variable_source(
            [_variable(h5py, opened, name, item, key) for item, key in zip(items, names, strict=True)],
            spec=spec_of(name, member),
            format="HDF5",
            files=opened.files,
            release=opened.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def files_of_hdf5(item: Any, what: str) -> FileStamps:
    """The files that an open data set takes values from, if it is virtual or has them in raw files.

    Raises InvalidInput, naming `what`, if one is missing, or if they cannot all be open: the
    caller has opened the data set, so that it cannot be opened anew.
    """
    h5py, files = library("h5py", extra="files", what="reading HDF5"), FileStamps()
    if item.is_virtual or item.external:
        with closing(LinkedFiles(h5py=h5py, files=files)) as linked:
            pieces = ValueSources(linked=linked).find(item, what)
            check_limit(what, sum(piece.files for piece in pieces))
    return files


def _variable(h5py: Any, opened: OpenFiles, path: str, item: Any, member: str) -> Variable:
    what = f"{path}:/{member}"
    scales = [scale_of(dimension) for dimension in item.dims]
    alone = opened.path != path
    with closing(LinkedFiles(h5py=h5py, files=opened.files, alone=alone)) as linked:
        sources = ValueSources(linked=linked)
        pieces = sources.find(item, what)
        coordinates = {
            number: _coordinate(h5py, sources, scale, f"{path}:{scale.name}", item.shape[number])
            for number, scale in enumerate(scales)
            if scale is not None and not stands_for_dimension(scale)
        }
    if pieces:
        reader = Reader(read=VirtualReader.of(h5py, what, item, pieces).read)
    else:
        raw = opened.keep.enter_context(open_regular(opened.path if alone else item.file.filename))
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
        axis_arrays=_axis_arrays(h5py, opened, path, item),
        mass=mass_of(item.attrs, what),
        member=member,
    )
    return transposed(variable) if MATLAB in item.attrs else variable


def _is_complex(item: Any) -> bool:
    return holds_complex(item.dtype, names_in_hdf5(item), item.shape)


def _coordinate(h5py: Any, sources: ValueSources, item: Any, what: str, size: int) -> Coordinate:
    """The coordinate in a data set; the values of one with another size than its dimension are not read."""
    values = np.broadcast_to(np.nan, item.shape)
    if item.size == size:
        pieces = sources.find(item, what)
        read = VirtualReader.of(h5py, what, item, pieces).read if pieces else item.__getitem__
        values = np.asarray(read(tuple(slice(0, n) for n in item.shape)))
    return coordinate_of(values, item.attrs, packing_in_hdf5(item, what))


def _axis_arrays(h5py: Any, opened: OpenFiles, path: str, item: Any) -> list[AxisArray]:
    """The data sets in the group of a data set, and in the groups above, that can be its axes."""
    sets: dict[str, Any] = {}
    group = item
    while group.name != "/":
        group = group.parent
        for name in SPELLINGS:
            if isinstance(group.get(name, getlink=True), h5py.HardLink | h5py.SoftLink):
                data_set = group.get(name)
                if isinstance(data_set, h5py.Dataset) and has_values_of_axis(h5py, data_set):
                    sets[f"{group.name}/{name}".lstrip("/")] = data_set

    def read(name: str) -> Coordinate:
        with closing(LinkedFiles(h5py=h5py, files=opened.files, alone=opened.path != path)) as linked:
            data_set = sets[name]
            stated = _coordinate(
                h5py, ValueSources(linked=linked), data_set, f"{path}:/{name}", data_set.size
            )
        return replace(stated, values=stated.values.reshape(-1))

    lengths = {name: data_set.size for name, data_set in sets.items()}
    return nearest_axis_arrays(item.name.lstrip("/"), lengths, root=f"{path}:/", read=read)


def _recognises(content: Content) -> bool:
    """Whether a superblock begins at byte 0, 512, 1024, and so on: a user's own block can be before it."""
    if content.file is None or content.members is not None:
        return False
    position = 0
    while position <= MAX_USER_BLOCK:
        content.file.seek(position)
        if content.file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
            return True
        position = 2 * position or 512
    return False


HDF5: Final = Format(
    name="hdf5",
    label="HDF5",
    endings=(".h5", ".hdf5", ".hdf", ".he5", ".nxs", ".mat"),
    recognises=_recognises,
    read=hdf5,
    writer=FormatWriter(endings=(".h5", ".hdf5", ".hdf"), open=hdf5_file),
)
