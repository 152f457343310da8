"""Where the points of a grid lie, in the unit that the observables are in.

That is the bohr. An axis whose spacing is not known counts in grid steps: its first point
is 0, its step 1, and momenta along it are in ħ a step.
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

    Raises InvalidInput if the axis has a unit that is no length known here.
    """
    return _laid(grid, axis).step or 1.0


def coordinates(grid: Grid, axis: int, start: int, stop: int) -> NDArray[np.float64]:
    """Positions of the points start … stop−1 of a spatial axis in bohr, or in steps. Raises as `spacing`."""
    laid = _laid(grid, axis)
    numbers = np.arange(start, stop, dtype=np.float64)
    return numbers if laid.step is None else laid.origin + numbers * laid.step


def spatial_axes(grid: Grid) -> range:
    """The spatial axes that a state on this grid has: 1 … dimensions."""
    return range(1, grid.dimensions + 1)


def volume(grid: Grid) -> float:
    """dV in bohr^d, d being the axes of more than one point; an axis of unknown spacing counts 1."""
    return math.prod(spacing(grid, axis) for axis in (1, 2, 3) if grid.shape[axis] > 1)


def in_steps(grid: Grid) -> str:
    """The names of the axes that count in grid steps, as in "xyz"; empty if all spacings are known."""
    return "".join(
        AXIS_NAMES[axis] for axis in (1, 2, 3) if grid.shape[axis] > 1 and grid.axes[axis].step is None
    )


def held(psi: NDArray[Any], grid: Grid, box: Box | None) -> Box:
    """The box that ψ[t, x, y, z] is over: `box`, or else all points of as many frames as it has.

    Raises InvalidInput if its shape is another.
    """
    if psi.ndim == 4 and psi.shape == (box.shape if box else (psi.shape[0], *grid.shape[1:])):
        return box or Box(start=(0, 0, 0, 0), stop=(psi.shape[0], *grid.shape[1:]))
    wanted = box.shape if box else ("t", *grid.shape[1:])
    raise InvalidInput(
        f"ψ has the shape {psi.shape}; over this grid it is [t, x, y, z] with {wanted}: "
        "give one frame as psi[t:t+1]"
    )


def _laid(grid: Grid, axis: int) -> Axis:
    return grid.axes[axis].in_atomic_units(AXIS_NAMES[axis])
