"""Wavefunctions in Zarr hierarchies, versions 2 and 3: a directory, or a zip file of one.

Formats: Zarr core specification 3.1 and Zarr storage specification 2 (read by zarr-python).
Coordinates are one-dimensional arrays beside ψ with the name of a dimension.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ....checked import checked
from ....errors import InvalidInput
from ....optional import library
from ..axis_arrays import axes_among, can_be_axis, nearest_axis_arrays
from ..complex_values import holds_complex
from ..content import Content
from ..coordinate import Coordinate, coordinate_of
from ..file_stamps import FileStamps
from ..format import Format, FormatWriter
from ..hdf5.hdf5_attributes import NETCDF_FILE
from ..mass_attribute import mass_of
from ..member_choice import choose_members
from ..open_files import open_files, spec_of
from ..variable import Variable
from ..variable_source import VariableSource, variable_source
from ..writing import blocks
from .zarr_attributes import names_in_zarr, packing_in_zarr
from .zarr_blocks import zarr_blocks
from .zarr_bounds import bounded
from .zarr_nodes import is_node, zip_roots
from .zarr_writer import zarr_directory

GROUP_FILES: Final = ("zarr.json", ".zmetadata", ".zgroup", ".zattrs")
"""Files in which a group describes what is within it. Source: Zarr specifications, as above."""


@checked
def zarr(
    path: str | os.PathLike[str],
    member: str | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> VariableSource:
    """ψ in a Zarr array, or in a group: its member of that path, the only one, or a pair "re,im".

    Complex or real values, or a first or last dimension of two. `dims`, `box`, `dt` and the
    axes as for `hdf5`. Raises InvalidInput if the hierarchy, the array or a coordinate cannot
    be used; UsageError if zarr is missing.
    """
    name = os.fspath(path)
    library_ = library("zarr", extra="zarr", what="reading Zarr")
    with open_files(name, format="Zarr", directory=True) as opened:
        zipped = os.path.isfile(opened.path)
        store: Any = name
        folder = ""
        if zipped:
            storage = library("zarr.storage", extra="zarr", what="reading Zarr")
            folder = _root_of(opened.path, name)
            store = opened.keep.enter_context(storage.ZipStore(opened.path, mode="r"))
        root = library_.open(store, mode="r", path=folder)
        arrays = _arrays(library_, root)
        names = _choose(arrays, member, name)
        if not zipped:
            for key in names:
                _add_files(opened.files, name, key)
                for other in (*_coordinate_paths(arrays, key).values(), *_axis_lengths(arrays, key)):
                    _add_files(opened.files, name, other)
        netcdf = NETCDF_FILE in root.attrs
        keep = None if zipped else opened.keep
        return variable_source(
            [_variable(name, arrays, key, keep, netcdf=netcdf) for key in names],
            spec=spec_of(name, member),
            format=f"Zarr v{root.metadata.zarr_format}",
            files=opened.files,
            release=opened.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def _root_of(path: str, name: str) -> str:
    """The folder of a zip file that is the hierarchy. Raises InvalidInput unless there is exactly one."""
    with zipfile.ZipFile(path) as archive:
        roots = zip_roots(archive.namelist())
    if len(roots) != 1:
        raise InvalidInput(
            f"{name} holds {len(roots) or 'no'} Zarr hierarchies{': ' if roots else ''}{', '.join(roots[:5])}: "
            "one is needed; unpack it, and name one"
        )
    return roots[0]


def _arrays(zarr_: Any, root: Any) -> dict[str, Any]:
    """The arrays of numbers by their paths; the path of a lone array is empty."""
    if isinstance(root, zarr_.Array):
        return {"": root}
    members = dict(root.members(max_depth=None))
    return {
        path: item
        for path, item in sorted(members.items())
        if isinstance(item, zarr_.Array) and item.shape and item.dtype.kind in "cfiuV"
    }


def _choose(arrays: dict[str, Any], member: str | None, name: str) -> tuple[str, ...]:
    """The path of the array that is ψ, or those of a pair, see `choose_members`."""
    if "" in arrays:
        if member and member.strip("/"):
            raise InvalidInput(f"{name} is one array and has no {member!r} in it")
        return ("",)
    coordinates = _coordinates(arrays)
    candidates = [key for key in arrays if key not in coordinates]
    axes = axes_among({path: (array.shape, array.dtype) for path, array in arrays.items()})
    return choose_members(candidates, member, name, lambda key: _is_complex(arrays[key]), axes=axes)


def _coordinates(arrays: dict[str, Any]) -> set[str]:
    """Paths of the arrays that are coordinates: named as a dimension of another array beside them."""
    named = {
        f"{path.rpartition('/')[0]}/{name}".lstrip("/")
        for path, item in arrays.items()
        for name in names_in_zarr(item)
        if name is not None and path.rpartition("/")[2] != name
    }
    return {path for path in arrays if path in named and arrays[path].ndim == 1}


def _is_complex(item: Any) -> bool:
    return holds_complex(item.dtype, names_in_zarr(item), item.shape)


def _coordinate_paths(arrays: dict[str, Any], member: str) -> dict[int, str]:
    """The paths of the arrays that can be coordinates of one, by the number of the dimension."""
    folder = member.rpartition("/")[0]
    paths = {
        number: f"{folder}/{name}".lstrip("/")
        for number, name in enumerate(names_in_zarr(arrays[member]))
        if name is not None
    }
    return {
        number: path
        for number, path in paths.items()
        if path != member and path in arrays and arrays[path].ndim == 1
    }


def _axis_lengths(arrays: dict[str, Any], member: str) -> dict[str, int]:
    """The lengths of the arrays that can be axes of one that names no dimensions, by their paths."""
    if any(names_in_zarr(arrays[member])):
        return {}
    return {
        path: item.shape[0]
        for path, item in arrays.items()
        if path != member and item.ndim == 1 and can_be_axis(path, item.shape, item.dtype)
    }


def _add_files(files: FileStamps, directory: str, member: str) -> None:
    """Add the files of an array, and those in which the groups above describe it."""
    files.add(os.path.join(directory, member))
    while member:
        member = member.rpartition("/")[0]
        for name in GROUP_FILES:
            if os.path.isfile(path := os.path.join(directory, member, name)):
                files.add(path)


def _points(item: Any, size: int) -> NDArray[Any]:
    """The values of a coordinate; those of one with another size than its dimension are not read."""
    return np.asarray(bounded(item)[...]) if item.shape == (size,) else np.broadcast_to(np.nan, item.shape)


def _variable(
    path: str, arrays: dict[str, Any], member: str, keep: ExitStack | None, *, netcdf: bool
) -> Variable:
    """One array. `keep` closes the files of one in a directory, and is None for one in a zip file."""
    item = arrays[member]
    names = names_in_zarr(item)

    def coordinate(key: str, size: int | None = None) -> Coordinate:
        packing = packing_in_zarr(arrays[key], f"{path}:/{key}", netcdf=netcdf)
        values = _points(arrays[key], arrays[key].shape[0] if size is None else size)
        return coordinate_of(values, arrays[key].attrs, packing)

    files = None if keep is None else zarr_blocks(path, item)
    if files is not None and keep is not None:
        keep.callback(files.close)
    chunk = getattr(item, "shards", None) or item.chunks
    coordinates = {
        number: coordinate(key, item.shape[number])
        for number, key in _coordinate_paths(arrays, member).items()
    }
    return Variable(
        what=f"{path}:/{member}",
        shape=tuple(item.shape),
        dtype=item.dtype,
        read=bounded(item).__getitem__ if files is None else files.read,
        names=names,
        packing=packing_in_zarr(item, f"{path}:/{member}", netcdf=netcdf),
        chunk=tuple(min(a, b) for a, b in zip(chunk, item.shape, strict=True)),
        parted=files is not None and files.codec is None,
        parallel=files is not None and files.codec is not None,
        coordinates=coordinates,
        axis_arrays=nearest_axis_arrays(
            member, _axis_lengths(arrays, member), root=f"{path}:/", read=coordinate
        ),
        mass=mass_of(item.attrs, f"{path}:/{member}"),
        member=member,
    )


def _recognises(content: Content) -> bool:
    if content.file is None:
        return is_node(content.path)
    return bool(zip_roots(content.members or ()))


ZARR: Final = Format(
    name="zarr",
    label="Zarr",
    endings=(".zarr", ".zarr.zip"),
    recognises=_recognises,
    read=zarr,
    writer=FormatWriter(endings=(".zarr",), open=zarr_directory, is_directory=True, unit=blocks),
)
