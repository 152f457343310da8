"""What is written to a file, and the promise of each format's writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import AXIS_NAMES, Axis, Box, Grid, Shape4

Write = Callable[[Box, NDArray[Any]], None]
"""Takes the values of the next box, [t, x, y, z]; boxes come in C order of the grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportHeader:
    """A wavefunction to be written: its grid, the dtype of its values, and what is said of it in the file."""

    grid: Grid
    dtype: np.dtype[Any]
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedAxis:
    """An axis whose points are known: its name, its number, their places, and what is said of them."""

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
    """`units` as others read it; `origin`, `step` and `periodic` are for ourselves."""
    facts: dict[str, Any] = {"origin": axis.origin, "step": step, "periodic": int(axis.periodic)}
    return facts if axis.unit is None else {"units": axis.unit, **facts}


def blocks(shape: Shape4) -> Shape4:
    """The blocks of a file that has blocks: of one time, about 64×64×64."""
    _, x, y, z = shape
    return 1, min(x, 64), min(y, 64), min(z, 64)
