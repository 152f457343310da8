"""The amplitudes of a state vector from ψ on a grid, c = ψ·√dV, and ψ from them.

A grid point is a basis state: its probability |c|² = |ψ|²dV is that of finding the particle in its
cell, and Σ|c|² is the norm Σ|ψ|²dV. Nothing is normalised here.
Source: Zalka, Proc. R. Soc. A 454, 313 (1998), section 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..lattice.grid import Grid
from ..observables.geometry import in_steps, volume


def amplitudes(psi: NDArray[Any], grid: Grid) -> NDArray[np.complex128]:
    """ψ·√dV of one frame in C order (z fastest), complex128 [points of a frame], a copy.

    `psi`: [x, y, z] as `Wavefunction.read[t]` gives it, [1, x, y, z], or without the axes that
    the grid lacks. dV is in bohr^d. Raises InvalidInput for another shape, or if the spacing is
    not known.
    """
    values = np.asarray(psi)
    frame = grid.shape[1:]
    if values.shape not in (frame, (1, *frame), frame[: grid.dimensions]):
        raise InvalidInput(f"ψ has the shape {values.shape}; one frame of this grid is {frame} as x, y, z")
    result: NDArray[np.complex128] = np.multiply(values, _root(grid), dtype=np.complex128, order="C")
    return result.reshape(-1)  # [x·y·z], z fastest


def psi_of(vector: NDArray[Any], grid: Grid) -> NDArray[np.complex128]:
    """ψ[x, y, z] of amplitudes in C order, complex128, a copy: the inverse of `amplitudes`. Raises InvalidInput."""
    values = np.asarray(vector)
    if values.size != grid.frame_points:
        raise InvalidInput(
            f"the state has {values.size} amplitudes, and a frame of the grid {grid.frame_points} points: "
            "they must be as many"
        )
    result: NDArray[np.complex128] = np.divide(values.reshape(-1), _root(grid), dtype=np.complex128)
    return result.reshape(grid.shape[1:])


def sizes(grid: Grid) -> tuple[int, ...]:
    """The number of points along each axis of the grid: x; x, y; or x, y, z."""
    return grid.shape[1 : 1 + grid.dimensions]


def _root(grid: Grid) -> float:
    if unknown := in_steps(grid):
        raise InvalidInput(
            f"the spacing along {', '.join(unknown)} is not known, so neither is dV: "
            "give a grid with extents (with_box)"
        )
    return math.sqrt(volume(grid))
