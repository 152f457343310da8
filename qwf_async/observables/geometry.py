"""Positions, spacings and cells of a grid in bohr, the unit of the observables.

An axis whose spacing is not known counts in grid steps: its first point is at 0, its step is 1,
and momenta along it are in ħ a step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES, Axis, Box, Grid


def spacing(grid: Grid, axis: int) -> float:
    """The step of a spatial axis (1, 2, 3 are x, y, z) in bohr, or 1 if it is not known.

    Raises InvalidInput if the unit of the axis is no known length.
    """
    return _in_bohr(grid, axis).step or 1.0


def coordinates(grid: Grid, axis: int, start: int, stop: int) -> NDArray[np.float64]:
    """Positions of the points start … stop−1 of a spatial axis in bohr, or in steps. Raises as `spacing`."""
    in_bohr = _in_bohr(grid, axis)
    numbers = np.arange(start, stop, dtype=np.float64)
    return numbers if in_bohr.step is None else in_bohr.origin + numbers * in_bohr.step


def ends(grid: Grid, axis: int) -> tuple[float, float]:
    """The coordinates of the first point of a spatial axis and of the end of its period, as `coordinates`."""
    first = float(coordinates(grid, axis, 0, 1)[0])
    return first, first + grid.shape[axis] * spacing(grid, axis)


def share_inside(x: NDArray[np.float64], step: float, low: float, high: float) -> NDArray[np.float64]:
    """The share, 0 to 1, of the cell x − step/2 … x + step/2 of each point that lies between `low` and `high`."""
    left, right = np.maximum(x - step / 2, low), np.minimum(x + step / 2, high)
    return np.clip((right - left) / step, 0.0, 1.0)


def spatial_axes(grid: Grid) -> range:
    """The numbers of the spatial axes of a state on this grid: 1 … dimensions."""
    return range(1, grid.dimensions + 1)


def volume(grid: Grid) -> float:
    """dV in bohr^d for the d axes of more than one point; an axis of unknown spacing counts as 1."""
    return math.prod(spacing(grid, axis) for axis in (1, 2, 3) if grid.shape[axis] > 1)


def in_steps(grid: Grid) -> str:
    """The names of the axes that count in grid steps, such as "xyz"; empty if all spacings are known."""
    return "".join(
        AXIS_NAMES[axis] for axis in (1, 2, 3) if grid.shape[axis] > 1 and grid.axes[axis].step is None
    )


def check_shape(psi: NDArray[Any], grid: Grid, box: Box | None = None) -> Box:
    """The box of the points of ψ[t, x, y, z]: `box`, or all points of as many frames as ψ has.

    Raises InvalidInput if ψ has another shape.
    """
    if psi.ndim == 4 and psi.shape == (box.shape if box else (psi.shape[0], *grid.shape[1:])):
        return box or Box(start=(0, 0, 0, 0), stop=(psi.shape[0], *grid.shape[1:]))
    expected = box.shape if box else ("t", *grid.shape[1:])
    raise InvalidInput(
        f"ψ has the shape {psi.shape}; over this grid it is [t, x, y, z] with {expected}: "
        "give one frame as psi[t:t+1]"
    )


def _in_bohr(grid: Grid, axis: int) -> Axis:
    """A spatial axis with its unit converted to bohr."""
    return grid.axes[axis].in_atomic_units(AXIS_NAMES[axis])
