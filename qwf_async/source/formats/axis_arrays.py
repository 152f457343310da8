"""One-dimensional arrays beside ψ that are its axes, for they have the name of one and its number of points.

HDF5 files, npz archives and Zarr groups that were written without dimension scales or names
of dimensions have their axes so. An array counts for ψ in its own group and in those below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from .variable import AxisArray, Coordinate

NAMES: Final[Mapping[str, str]] = {
    "t": "t", "time": "t", "times": "t", "ts": "t", "tlist": "t",
    **{name: letter for letter in "xyz" for name in (letter, f"{letter}s")},
}  # fmt: skip
"""Names of arrays that are axes, and of which, in small letters. `tlist` is QuTiP's word."""

SPELLINGS: Final = tuple({*NAMES, *map(str.capitalize, NAMES), *map(str.upper, NAMES)} - {"T"})
"""As they may be written; a capital T may be a temperature."""


def letter_of(path: str) -> str | None:
    """The axis that an array of this path can be, by its name."""
    name = path.rpartition("/")[2]
    return NAMES[name.lower()] if name in SPELLINGS else None


def can_be_axis(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether an array has the name, the one dimension and the real numbers of an axis."""
    return letter_of(path) is not None and is_line(shape) and dtype.kind in "fiu"


def is_line(shape: tuple[int, ...]) -> bool:
    """Whether an array has one dimension, or is a row or a column, which is all that MATLAB has."""
    return 1 <= len(shape) <= 2 and math.prod(shape) == max(shape)


def axes_among(arrays: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]) -> frozenset[str]:
    """The paths of the arrays that are axes of others, by the shapes and types of all."""
    others = [(path, shape) for path, (shape, dtype) in arrays.items() if not can_be_axis(path, shape, dtype)]
    return frozenset(
        path
        for path, (shape, dtype) in arrays.items()
        if can_be_axis(path, shape, dtype)
        and any(math.prod(shape) in (1, *other) for name, other in others if _counts_for(path, name))
    )


def nearest_axis_arrays(
    member: str, lengths: Mapping[str, int], *, root: str, read: Callable[[str], Coordinate]
) -> list[AxisArray]:
    """The arrays that can be axes of the array `member`, of those with the path and the number of points in `lengths`.

    Messages name one as `root` and its path; `read` yields what is in it.
    """
    return [
        AxisArray(letter=letter, what=f"{root}{path}", length=lengths[path], read=partial(read, path))
        for path in _nearest(member, lengths)
        if (letter := letter_of(path)) is not None
    ]


def _nearest(member: str, paths: Iterable[str]) -> list[str]:
    """Those of some paths that can be axes of an array: of each axis the ones in the nearest group."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths, key=lambda path: (-path.count("/"), path)):
        letter = letter_of(path)
        if path == member or letter is None or not _counts_for(path, member):
            continue
        same = found.setdefault(letter, [])
        if not same or same[0].count("/") == path.count("/"):
            same.append(path)
    return [path for same in found.values() for path in same]


def _counts_for(path: str, member: str) -> bool:
    group = path.rpartition("/")[0]
    return not group or member.startswith(f"{group}/")
