"""One choice among all eigenstates of the same energies, so that values can be compared.

A state may have any phase, and the states of a level may be mixed. Here every state is real, and
positive at the first point, in C order, where |ψ| reaches half of its maximum. The states of a
level are those between which w = 4x² + 2y² + z² has no matrix elements, x, y, z from the middle of
the grid. They come in falling order of ⟨w⟩. So in a round trap the first of three p states is that along x.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import Grid
from ...observables.geometry import coordinates, spatial_axes
from .rows import combine, products

Real = NDArray[np.float64]

WEIGHTS: Final = (4.0, 2.0, 1.0)
"""Of x², y², z² in w."""


def settle(states: Real, energies: Real, grid: Grid, bound: float) -> None:
    """Choose states and signs as above, in place, for states [m, N] of rising energies.

    Neighbours no further than `bound` (Hartree) from each other belong to one level.
    """
    ends = [*(np.flatnonzero(np.diff(energies) > bound) + 1), len(energies)]
    start = 0
    for end in ends:
        if end - start > 1:
            _separate(states[start:end], grid)
        start = end
    for state in states:
        size = np.abs(state)
        if state[np.argmax(size >= size.max() / 2)] < 0:
            state *= -1


def _separate(level: Real, grid: Grid) -> None:
    from scipy import linalg  # heavy, and optional

    w = np.zeros((1, 1, 1))
    for axis, weight in zip(spatial_axes(grid), WEIGHTS, strict=False):
        x = coordinates(grid, axis, 0, grid.shape[axis])
        x = (x - (x[0] + x[-1]) / 2) / (x[-1] - x[0])
        # x is [n] of this axis: as [n, 1, 1], [1, n, 1] or [1, 1, n] its squares add up to [x, y, z].
        w = w + weight * (x * x).reshape([-1 if own == axis - 1 else 1 for own in range(3)])
    weighted = level * np.broadcast_to(w, grid.shape[1:]).reshape(-1)
    inner = products(level, weighted)
    _, vectors = linalg.eigh((inner + inner.T) / 2)
    combine(level, np.ascontiguousarray(vectors[:, ::-1]))
