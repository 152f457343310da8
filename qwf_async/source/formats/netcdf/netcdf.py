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
from ..complex_values import holds_complex
from ..content import Content
from ..contiguous import read_contiguous
from ..coordinate import coordinate_of
from ..decompression import open_content
from ..format import Format, FormatWriter
from ..hdf5.hdf5 import hdf5
from ..member_choice import choose_members
from ..open_files import open_files, spec_of
from ..packing import packing_of
from ..regular_file import check_readable, open_regular
from ..variable import Slices, Variable
from ..variable_source import VariableSource, variable_source
from .netcdf_classic import CLASSIC_MAGIC, CLASSIC_VERSIONS, ClassicVariable, classic_variables
from .netcdf_writer import netcdf_file


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
        head = open_content(name, keep).read(len(CLASSIC_MAGIC))
    if head != CLASSIC_MAGIC:
        return hdf5(path, member, dims=dims, box=box, dt=dt)
    with open_files(name, format="NetCDF") as opened:
        file = opened.keep.enter_context(open_regular(opened.path))
        variables = classic_variables(file, name, os.fstat(file.fileno()).st_size)
        dimensions = {dimension for variable in variables.values() for dimension in variable.dimensions}
        candidates = [
            key
            for key, variable in variables.items()
            if key not in dimensions and variable.shape and variable.dtype.kind in "fiu"
        ]
        names = choose_members(candidates, member, name, lambda key: _is_complex(variables[key]))
        return variable_source(
            [_variable(name, variables, key, file) for key in names],
            spec=spec_of(name, member),
            format="NetCDF-3",
            files=opened.files,
            release=opened.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def _is_complex(variable: ClassicVariable) -> bool:
    return holds_complex(variable.dtype, variable.dimensions, variable.shape)


def _variable(path: str, variables: Mapping[str, ClassicVariable], member: str, file: FileIO) -> Variable:
    stored = variables[member]
    what = f"{path}:{member}"
    coordinates = {}
    for number, dimension in enumerate(stored.dimensions):
        coordinate = variables.get(dimension)
        if coordinate is not None and coordinate.dimensions == (dimension,):
            values = _read(path, coordinate, file, (slice(0, coordinate.shape[0]),))
            packing = packing_of(
                coordinate.dtype, coordinate.attributes, what=f"{path}:{dimension}", netcdf=True
            )
            coordinates[number] = coordinate_of(values, coordinate.attributes, packing)
    return Variable(
        what=what,
        shape=stored.shape,
        dtype=stored.dtype,
        read=partial(_read, path, stored, file),
        packing=packing_of(stored.dtype, stored.attributes, what=what, netcdf=True),
        names=stored.dimensions,
        coordinates=coordinates,
        member=member,
    )


def _read(path: str, stored: ClassicVariable, file: FileIO, slices: Slices) -> NDArray[Any]:
    return read_contiguous(
        file, path, stored.offset, stored.shape, stored.dtype, slices, stride=stored.stride
    )


def _recognises(content: Content) -> bool:
    return content.head.startswith(tuple(CLASSIC_MAGIC + bytes([version]) for version in CLASSIC_VERSIONS))


NETCDF: Final = Format(
    name="netcdf",
    label="NetCDF",
    endings=(".nc", ".nc4", ".nc3", ".cdf", ".ncdf"),
    recognises=_recognises,
    read=netcdf,
    writer=FormatWriter(endings=(".nc", ".nc4"), open=netcdf_file),
)
