"""The absorbing edge of the grid: an imaginary potential −iW, with

    W = strength · ((absorb − s)/absorb)²  within `absorb` bohr of both edges of each axis,

s being the distance from the edge. Source: Riss and Meyer, J. Phys. B 26, 4503 (1993),
with the monomial of degree 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...grid import Grid
from ...observables.lattice import axes_of, spacing


def damping(grid: Grid, absorb: float, strength: float) -> NDArray[np.float64] | None:
    """W in Hartree, [x, y, z], None if nothing is absorbed.

    Raises InvalidInput if it leaves nothing of an axis.
    """
    if not absorb:
        return None
    total = np.zeros((1, 1, 1))
    for own, axis in enumerate(axes_of(grid)):
        size, step = grid.shape[axis], spacing(grid, axis)
        if 2 * absorb >= size * step:
            raise InvalidInput(f"absorb={absorb:g} at both edges leaves nothing of {size * step:g} bohr")
        place = np.arange(size)
        distance = step * np.minimum(place, size - place)
        shape = [-1 if other == own else 1 for other in range(3)]
        total = total + (strength * np.maximum(0.0, 1 - distance / absorb) ** 2).reshape(shape)
    return total
