"""The probability to be within a region of space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES, Box, Grid
from .density import density
from .geometry import check_shape, coordinates, share_inside, spacing, spatial_axes, volume

Real = NDArray[np.float64]
Region = Mapping[int, tuple[float, float]]
"""Axis (1, 2, 3 are x, y, z) → lowest and highest coordinate in bohr, perhaps infinite; other axes are not bounded."""


@checked
def probability_in(psi: NDArray[Any], grid: Grid, region: Region, box: Box | None = None) -> Real:
    """Σ|ψ|²dV over a region, for each frame of ψ[t, x, y, z]: [t], of ψ as it is stored.

    A point stands for its cell, half a step to either side along each axis. Of a cell that the
    edge of the region divides, the share inside counts: so a region and the rest have the norm
    together, and near an edge the density counts as constant within a cell. `region` is an axis
    (1, 2, 3 are x, y, z) → its lowest and highest coordinate in bohr, which may be infinite.
    With `box` it is what the points of the box contribute. Memory beside ψ: |ψ|² of a frame.
    Raises InvalidInput for a region that is empty or has axes that the grid has not; else as `norm`.
    """
    box = check_shape(psi, grid, box)
    check_region(grid, region)
    result = np.empty(len(psi))
    for number, frame in enumerate(psi):
        inside: Any = density(frame)
        for axis in (3, 2, 1):  # the last axis of what is left is summed over
            if axis in region:
                x = coordinates(grid, axis, box.start[axis], box.stop[axis])
                inside = np.einsum("...x,x->...", inside, share_inside(x, spacing(grid, axis), *region[axis]))
            else:
                inside = inside.sum(axis=-1)
        result[number] = inside * volume(grid)
    return result


def check_region(grid: Grid, region: Region) -> None:
    """Raises InvalidInput if a region is empty, or has an axis that the grid has not."""
    for axis, (low, high) in region.items():
        if axis not in spatial_axes(grid):
            raise InvalidInput(
                f"there is no axis {AXIS_NAMES[axis]} to bound: the grid lies along {'xyz'[: grid.dimensions]}"
            )
        if not low < high:
            raise InvalidInput(
                f"the region is empty: {AXIS_NAMES[axis]} runs from {low:g} to {high:g}, and the first must be lower"
            )
