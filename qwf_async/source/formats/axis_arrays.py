"""One-dimensional arrays beside ψ that are its axes: they have an axis's name and its number of points.

HDF5 files, npz archives and Zarr groups without dimension scales or names of dimensions have
their axes so. An array counts for ψ if it is in the group of ψ or in one above.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from .coordinate import Coordinate
from .variable import AxisArray

NAMES: Final[Mapping[str, str]] = {
    "t": "t", "time": "t", "times": "t", "ts": "t", "tlist": "t",
    **{name: letter for letter in "xyz" for name in (letter, f"{letter}s")},
}  # fmt: skip
"""Names of arrays that are axes, in small letters, and the letter of the axis. `tlist` is QuTiP's word."""

SPELLINGS: Final = tuple({*NAMES, *map(str.capitalize, NAMES), *map(str.upper, NAMES)} - {"T"})
"""The names as they can be written; a capital T may be a temperature."""


def letter_of(path: str) -> str | None:
    """The axis that an array of this path can be by its name; None if it can be none."""
    name = path.rpartition("/")[2]
    return NAMES[name.lower()] if name in SPELLINGS else None


def can_be_axis(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether an array has the name, the one dimension and the real numbers of an axis."""
    return letter_of(path) is not None and is_line(shape) and dtype.kind in "fiu"


def is_line(shape: tuple[int, ...]) -> bool:
    """Whether an array has one dimension, or is a row or a column: MATLAB has no others."""
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
    """The arrays that can be axes of the array `member`: for each axis those in the nearest group.

    `lengths` has the paths of all that can be axes, and their numbers of points. `read` yields
    what is in one; messages name it as `root` and its path.
    """
    return [
        AxisArray(letter=letter, what=f"{root}{path}", length=lengths[path], read=partial(read, path))
        for path in _nearest(member, lengths)
        if (letter := letter_of(path)) is not None
    ]


def _nearest(member: str, paths: Iterable[str]) -> list[str]:
    """The paths of those that count for `member`: for each axis the ones in the nearest group."""
    by_letter: dict[str, list[str]] = {}
    for path in sorted(paths, key=lambda path: (-path.count("/"), path)):
        letter = letter_of(path)
        if path == member or letter is None or not _counts_for(path, member):
            continue
        nearest = by_letter.setdefault(letter, [])
        if not nearest or nearest[0].count("/") == path.count("/"):
            nearest.append(path)
    return [path for nearest in by_letter.values() for path in nearest]


def _counts_for(path: str, member: str) -> bool:
    """Whether an array is in the group of another, or in one above."""
    group = path.rpartition("/")[0]
    return not group or member.startswith(f"{group}/")
