"""Wavefunctions in Zarr hierarchies, versions 2 and 3: a directory, or a zip file of one.

Formats: Zarr core specification 3.1 and Zarr storage specification 2 (read by zarr-python).
Names of dimensions are those of version 3's `dimension_names`, or of xarray's attribute
`_ARRAY_DIMENSIONS`; coordinates are one-dimensional arrays of the same name beside the array.
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
from ..detection import zip_roots
from ..file_stamps import FileStamps
from ..hdf5.hdf5 import NETCDF_FILE
from ..member_choice import choose_members
from ..open_files import open_files, spec_of
from ..packing import Packing, packing_of
from ..variable import Coordinate, Variable, coordinate_of
from ..variable_source import VariableSource, holds_complex, variable_source
from .zarr_blocks import zarr_blocks
from .zarr_bounds import bounded

METADATA: Final = ("zarr.json", ".zmetadata", ".zgroup", ".zattrs")
"""Files in which a group speaks for what is within it. Source: Zarr specifications, as above."""


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
    with open_files(name, format="Zarr", directory=True) as found:
        zipped = os.path.isfile(found.path)
        where: Any = name
        within = ""
        if zipped:
            storage = library("zarr.storage", extra="zarr", what="reading Zarr")
            within = _root_of(found.path, name)
            where = found.keep.enter_context(storage.ZipStore(found.path, mode="r"))
        root = library_.open(where, mode="r", path=within)
        arrays = _arrays(library_, root)
        coordinates = _coordinates(arrays)
        candidates = [key for key in arrays if key not in coordinates]
        axes = axes_among({path: (array.shape, array.dtype) for path, array in arrays.items()})
        names = (
            ("",)
            if "" in arrays
            else choose_members(candidates, member, name, lambda one: _is_complex(arrays[one]), axes=axes)
        )
        if "" in arrays and member and member.strip("/"):
            raise InvalidInput(f"{name} is one array and has no {member!r} in it")
        if not zipped:
            for one in names:
                _add_files(found.files, name, one)
                for beside in (*_named_beside(arrays, one).values(), *_nameless_beside(arrays, one)):
                    _add_files(found.files, name, beside)
        netcdf = NETCDF_FILE in root.attrs
        parts = [_variable(name, arrays, one, None if zipped else found.keep, netcdf=netcdf) for one in names]
        return variable_source(
            parts,
            spec=spec_of(name, member),
            format=f"Zarr v{root.metadata.zarr_format}",
            files=found.files,
            release=found.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def _root_of(path: str, name: str) -> str:
    """The folder of a zip file that is the hierarchy. Raises InvalidInput unless there is one."""
    with zipfile.ZipFile(path) as archive:
        roots = zip_roots(archive)
    if len(roots) != 1:
        raise InvalidInput(
            f"{name} holds {len(roots) or 'no'} Zarr hierarchies{': ' if roots else ''}{', '.join(roots[:5])}: "
            "one is needed; unpack it, and name one"
        )
    return roots[0]


def _arrays(zarr_: Any, root: Any) -> dict[str, Any]:
    """The arrays of numbers by their paths; that of a lone array is empty."""
    if isinstance(root, zarr_.Array):
        return {"": root}
    found = dict(root.members(max_depth=None))
    return {
        path: item
        for path, item in sorted(found.items())
        if isinstance(item, zarr_.Array) and item.shape and item.dtype.kind in "cfiuV"
    }


def _coordinates(arrays: dict[str, Any]) -> set[str]:
    """Paths of the arrays that are coordinates: named as a dimension of another array beside them."""
    named = {
        f"{path.rpartition('/')[0]}/{name}".lstrip("/")
        for path, item in arrays.items()
        for name in names_in_zarr(item)
        if name is not None and path.rpartition("/")[2] != name
    }
    return {path for path in arrays if path in named and arrays[path].ndim == 1}


def names_in_zarr(item: Any) -> tuple[str | None, ...]:
    """The names of its dimensions, None for each that has none."""
    names = getattr(item.metadata, "dimension_names", None) or item.attrs.get("_ARRAY_DIMENSIONS")
    known = (
        tuple(names) if isinstance(names, list | tuple) and len(names) == item.ndim else (None,) * item.ndim
    )
    return tuple(None if name is None else str(name) for name in known)


def _is_complex(item: Any) -> bool:
    return holds_complex(item.dtype, names_in_zarr(item), item.shape)


def _named_beside(arrays: dict[str, Any], member: str) -> dict[int, str]:
    """The paths of the arrays that can be coordinates of one, by the place of the dimension."""
    folder = member.rpartition("/")[0]
    paths = {
        place: f"{folder}/{name}".lstrip("/")
        for place, name in enumerate(names_in_zarr(arrays[member]))
        if name is not None
    }
    return {
        place: path
        for place, path in paths.items()
        if path != member and path in arrays and arrays[path].ndim == 1
    }


def _nameless_beside(arrays: dict[str, Any], member: str) -> dict[str, int]:
    """The lengths of the arrays that can be axes of one where it names no dimensions, by their paths."""
    if any(names_in_zarr(arrays[member])):
        return {}
    return {
        path: item.shape[0]
        for path, item in arrays.items()
        if path != member and item.ndim == 1 and can_be_axis(path, item.shape, item.dtype)
    }


def _add_files(files: FileStamps, directory: str, member: str) -> None:
    """The files of an array, and what the groups that it is in say of it."""
    files.add(os.path.join(directory, member))
    while member:
        member = member.rpartition("/")[0]
        for name in METADATA:
            if os.path.isfile(path := os.path.join(directory, member, name)):
                files.add(path)


def packing_in_zarr(item: Any, what: str, *, netcdf: bool = False) -> Packing | None:
    """The packing of an array, `what` in messages: by its attributes, and in version 2 by its fill value.

    As xarray has it: of an array of version 2 with its names of dimensions, the fill value
    means missing; of any other it is a number like others, that of what was never written.
    `netcdf`: the NetCDF library wrote it, whose default fill values mean missing; in
    `fill_value` it has them rounded to six digits.
    """
    means_missing = item.metadata.zarr_format == 2 and "_ARRAY_DIMENSIONS" in item.attrs
    fill = item.fill_value if means_missing else None
    return packing_of(item.dtype, item.attrs, what=what, netcdf=netcdf, fill=fill)


def _points(item: Any, size: int) -> NDArray[Any]:
    """The values of a coordinate; those of one that has another size than its dimension need not be read."""
    return np.asarray(bounded(item)[...]) if item.shape == (size,) else np.broadcast_to(np.nan, item.shape)


def _variable(
    path: str, arrays: dict[str, Any], member: str, keep: ExitStack | None, *, netcdf: bool
) -> Variable:
    """One array; its files are kept open in `keep` if it is in a directory."""
    item = arrays[member]
    names = names_in_zarr(item)

    def coordinate(key: str, size: int | None = None) -> Coordinate:
        packing = packing_in_zarr(arrays[key], f"{path}:/{key}", netcdf=netcdf)
        values = _points(arrays[key], arrays[key].shape[0] if size is None else size)
        return coordinate_of(values, arrays[key].attrs, packing)

    blocks = None if keep is None else zarr_blocks(path, item)
    if blocks is not None and keep is not None:
        keep.callback(blocks.close)
    stored = getattr(item, "shards", None) or item.chunks
    return Variable(
        what=f"{path}:/{member}",
        shape=tuple(item.shape),
        dtype=item.dtype,
        read=bounded(item).__getitem__ if blocks is None else blocks.read,
        names=names,
        packing=packing_in_zarr(item, f"{path}:/{member}", netcdf=netcdf),
        chunk=tuple(min(a, b) for a, b in zip(stored, item.shape, strict=True)),
        parted=blocks is not None and blocks.codec is None,
        parallel=blocks is not None and blocks.codec is not None,
        coordinates={
            place: coordinate(key, item.shape[place]) for place, key in _named_beside(arrays, member).items()
        },
        beside=nearest_axis_arrays(
            member, _nameless_beside(arrays, member), root=f"{path}:/", read=coordinate
        ),
        member=member,
    )
