"""Wavefunctions in NetCDF files: version 4 is HDF5, the classic format is read here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from io import FileIO
from typing import Any, Final

from numpy.typing import NDArray

from ....checked import checked
from ..contiguous import opened, read_contiguous
from ..decompression import content
from ..file_stamps import check_readable
from ..hdf5.hdf5 import hdf5
from ..member_choice import choose_members
from ..open_files import open_files, spec_of
from ..packing import packing_of
from ..variable import Slices, Variable, coordinate_of
from ..variable_source import VariableSource, holds_complex, variable_source
from .netcdf_classic import ClassicVariable, classic_variables

CLASSIC: Final = b"CDF"
"""What a classic file begins with."""


@checked
def netcdf(
    path: str | os.PathLike[str],
    member: str | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> VariableSource:
    """ψ in a NetCDF file: a variable with a dimension of re and im, or a pair of variables.

    NetCDF has no complex numbers: a lone real variable is a real ψ. `member`, `dims`,
    `box`, `dt`, the axes and the errors are as for `hdf5`; a classic file needs no library.
    """
    name = os.fspath(path)
    check_readable(name)
    with ExitStack() as keep:
        begins = content(name, keep).read(len(CLASSIC))
    if begins != CLASSIC:
        return hdf5(path, member, dims=dims, box=box, dt=dt)
    with open_files(name, format="NetCDF") as within:
        file = within.keep.enter_context(opened(within.path))
        found = classic_variables(file, name, os.fstat(file.fileno()).st_size)
        axes = {one for lying in found.values() for one in lying.dimensions}
        fields = [
            key for key, one in found.items() if key not in axes and one.shape and one.dtype.kind in "fiu"
        ]
        names = choose_members(
            fields,
            member,
            name,
            lambda one: holds_complex(found[one].dtype, found[one].dimensions, found[one].shape),
        )
        return variable_source(
            [_variable(name, found, one, file) for one in names],
            spec=spec_of(name, member),
            format="NetCDF-3",
            files=within.files,
            release=within.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def _variable(path: str, found: Mapping[str, ClassicVariable], member: str, file: FileIO) -> Variable:
    lying = found[member]
    what = f"{path}:{member}"
    coordinates = {}
    for place, dimension in enumerate(lying.dimensions):
        beside = found.get(dimension)
        if beside is not None and beside.dimensions == (dimension,):
            values = _read(path, beside, file, (slice(0, beside.shape[0]),))
            packed = packing_of(beside.dtype, beside.attributes, what=f"{path}:{dimension}", netcdf=True)
            coordinates[place] = coordinate_of(values, beside.attributes, packed)
    return Variable(
        what=what,
        shape=lying.shape,
        dtype=lying.dtype,
        read=partial(_read, path, lying, file),
        packing=packing_of(lying.dtype, lying.attributes, what=what, netcdf=True),
        names=lying.dimensions,
        coordinates=coordinates,
        member=member,
    )


def _read(path: str, lying: ClassicVariable, file: FileIO, slices: Slices) -> NDArray[Any]:
    return read_contiguous(file, path, lying.offset, lying.shape, lying.dtype, slices, stride=lying.stride)
