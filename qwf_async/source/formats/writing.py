"""What the formats' writers share: what is to be written, and the promise of each to take ψ box by box."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import AXIS_NAMES, Axis, Box, Grid, Shape4

WriteBox = Callable[[Box, NDArray[Any]], None]
"""Takes the values of the next box, [t, x, y, z]; boxes come in C order of the grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportHeader:
    """What is known of ψ before its values: its grid, the dtype of its values, and a title for the file."""

    grid: Grid
    dtype: np.dtype[Any]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedAxis:
    """An axis whose points are known: its name, its number in t, x, y, z, its points, and its attributes."""

    name: str
    number: int
    points: NDArray[np.float64]
    attributes: dict[str, Any]


def known_axes(grid: Grid) -> list[StatedAxis]:
    """The axes whose spacing is known, with attributes from which they are read back to the last bit."""
    return [
        StatedAxis(
            name=name,
            number=number,
            points=grid.coordinates(number, 0, grid.shape[number]),
            attributes=_attributes(axis, axis.step),
        )
        for number, (name, axis) in enumerate(zip(AXIS_NAMES, grid.axes, strict=True))
        if axis.step is not None
    ]


def _attributes(axis: Axis, step: float) -> dict[str, Any]:
    """`units` as other programs read it; `origin`, `step` and `periodic` for reading it back here."""
    facts: dict[str, Any] = {"origin": axis.origin, "step": step, "periodic": int(axis.periodic)}
    return facts if axis.unit is None else {"units": axis.unit, **facts}


def blocks(shape: Shape4) -> Shape4:
    """The blocks, [t, x, y, z], of a file that has blocks: of one time, about 64×64×64."""
    _, x, y, z = shape
    return 1, min(x, 64), min(y, 64), min(z, 64)


def take_space(path: Path) -> None:
    """Take the space of a whole file at once: on a mapped file a disk that fills up later is a fatal signal."""
    if sys.platform == "linux":
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


@contextmanager
def write_into(array: np.memmap[Any, Any]) -> Iterator[WriteBox]:
    """Fills a mapped file, [t, x, y, z], which is flushed if no error is raised within."""

    def write(box: Box, values: NDArray[Any]) -> None:
        array[box.slices] = values

    yield write
    array.flush()
