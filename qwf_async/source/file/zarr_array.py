"""Wavefunctions in Zarr hierarchies, versions 2 and 3: a directory, or a zip file of one.

Formats: Zarr core specification 3.1 and Zarr storage specification 2 (read by zarr-python).
Names of dimensions are those of version 3's `dimension_names`, or of xarray's attribute
`_ARRAY_DIMENSIONS`; coordinates are one-dimensional arrays of the same name beside the array.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ...errors import InvalidInput, QwfError
from ..foreign import first_line, library
from .field import Field, field_of
from .members import chosen
from .stamp import check_readable, check_unchanged, stamp
from .variable import Coordinate, Variable, coordinate_of


def zarr(
    path: str | os.PathLike[str],
    member: str | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> Field:
    """ψ in a Zarr array, or in a group: its member of that path, the only one, or a pair "re,im".

    Complex or real values, or a first or last dimension of two. `dims`, `box`, `dt` and the
    axes as for `hdf5`. Raises InvalidInput if the hierarchy, the array or a coordinate cannot
    be used; UsageError if zarr is missing.
    """
    name = os.fspath(path)
    library_ = library("zarr", extra="zarr", what="reading Zarr")
    check_readable(name, directory=True)
    facts = partial(stamp, name)
    before = facts()
    release: Any = lambda: None  # noqa: E731 # a directory has nothing to give back
    try:
        where: Any = name
        if os.path.isfile(name):
            where = library("zarr.storage", extra="zarr", what="reading Zarr").ZipStore(name, mode="r")
            release = where.close
        root = library_.open(where, mode="r")
        arrays = _arrays(library_, root)
        coordinates = _coordinates(arrays)
        candidates = [key for key in arrays if key not in coordinates]
        names = ("",) if "" in arrays else chosen(candidates, member, name)
        if "" in arrays and member and member.strip("/"):
            raise InvalidInput(f"{name} is one array and has no {member!r} in it")  # noqa: TRY301 # as from the calls beside it
        parts = [_variable(name, arrays, one) for one in names]
        check_unchanged(name, before, facts())
        return field_of(
            parts,
            spec=name if member is None else f"{name}:{member}",
            format=f"Zarr v{root.metadata.zarr_format}",
            facts=facts if os.path.isfile(name) else partial(_unwalked, before),
            release=release,
            dims=dims,
            box=box,
            dt=dt,
        )
    except QwfError:
        release()
        raise
    except Exception as error:  # zarr raises nearly anything for a damaged hierarchy
        release()
        raise InvalidInput(f"{name} cannot be read as Zarr: {first_line(error)}") from error


def _unwalked(facts: tuple[str, ...]) -> tuple[str, ...]:
    """The facts of a directory as it was opened: to look at all its files after each block would take too long."""
    return facts


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
        for name in _names(item)
        if name is not None and path.rpartition("/")[2] != name
    }
    return {path for path in arrays if path in named and arrays[path].ndim == 1}


def _names(item: Any) -> tuple[str | None, ...]:
    names = getattr(item.metadata, "dimension_names", None) or item.attrs.get("_ARRAY_DIMENSIONS")
    known = (
        tuple(names) if isinstance(names, list | tuple) and len(names) == item.ndim else (None,) * item.ndim
    )
    return tuple(None if name is None else str(name) for name in known)


def _variable(path: str, arrays: dict[str, Any], member: str) -> Variable:
    item = arrays[member]
    names = _names(item)
    beside: dict[int, Coordinate] = {}
    for place, name in enumerate(names):
        key = f"{member.rpartition('/')[0]}/{name}".lstrip("/")
        if name is not None and key != member and key in arrays and arrays[key].ndim == 1:
            beside[place] = coordinate_of(np.asarray(arrays[key][...]), arrays[key].attrs)
    stored = getattr(item, "shards", None) or item.chunks
    return Variable(
        what=f"{path}:/{member}",
        shape=tuple(item.shape),
        dtype=item.dtype,
        read=lambda slices: item[slices],
        names=names,
        chunk=tuple(min(a, b) for a, b in zip(stored, item.shape, strict=True)),
        coordinates=beside,
        member=member,
    )
