"""A particle in a box with infinite walls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ...checked import checked
from ...lattice.grid import Box, Grid
from ..parameters import Mass
from .formula import Analytic, extents, usable, with_extents, with_frames
from .levels import Superposition, WellLevels

WELL_EXTENT: Final = 10.0
"""Distance of the walls in bohr, if none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticleInBox(Analytic):
    """A superposition of eigenstates between infinite walls, see `box`."""

    name: ClassVar[str] = "box"
    n: Superposition

    def read(self, box: Box) -> NDArray[np.complex128]:
        edges = extents(self.grid)

        def energy(axis: int, n: int) -> float:
            return (math.pi * n / edges[axis]) ** 2 / (2 * self.grid.mass)

        def wave(axis: int, n: int) -> NDArray[np.float64]:
            edge = edges[axis]
            return math.sqrt(2 / edge) * np.sin(math.pi * n / edge * self.along(axis, box))

        return self.n.at(self.times(box), energy, wave)


@checked
def box(n: WellLevels = 1, *, mass: Mass = None, grid: Grid | None = None) -> ParticleInBox:
    """A particle between infinite walls at 0 and L along each axis, exact in time.

    `n`: the quantum number from 1 (one an axis in more dimensions, 1 where none is
    given), or a coefficient for each eigenstate of a superposition, as in
    `box({1: 0.6, 2: 0.8j})` or `box({(1, 2): 1, (2, 1): 1})`; they are normalised. Along
    each axis φ_n = √(2/L) sin(nπx/L) and E_n = n²π²/2mL², `mass` m in electron
    masses. Source: Griffiths, Introduction to Quantum Mechanics, section 2.2.

    L is the extent of the grid along each axis, which runs from 0 to L whatever its origin was.
    Default grid: 64³ points, L = 10 bohr. The frames are by default spread over the revival time
    4mL²/π of the longest axis.
    Raises InvalidInput for n < 1, and for an n that needs more points than the axis has: with n
    points ψ_n is 0 at each of them. Raises it too for more numbers than dimensions, or
    coefficients that are all 0.
    """
    grid = with_extents(usable(grid, mass), [WELL_EXTENT] * 3)
    edges = extents(grid)
    grid = with_frames(grid.with_box(edges, centred=False), 4 * grid.mass * max(edges) ** 2 / math.pi)
    limits = [size - 1 for size in grid.shape[1 : grid.dimensions + 1]]
    return ParticleInBox(n=Superposition.of(n, lowest=1, limits=limits), grid=grid)
