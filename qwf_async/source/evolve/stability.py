"""How large a time step may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ...lattice.grid import Grid
from ...observables.geometry import axes_of, spacing
from .potentials import Potential, potential_values

INSIDE: Final = 15
"""Times between the first frame and the last at which a potential in motion is looked at before the run."""

GOLDEN: Final = (math.sqrt(5) - 1) / 2


def times_of(grid: Grid) -> list[float]:
    """The times of the first and the last frame, and some in between that have no period in common with V, in ħ/Eh."""
    axis = grid.axes[0]
    last = (grid.shape[0] - 1) * (axis.step or 0.0)
    if not last:
        return [axis.origin]
    shares = [0.0, 1.0, *((number * GOLDEN) % 1 for number in range(1, INSIDE + 1))]
    return [axis.origin + share * last for share in shares]


def stable_step(grid: Grid, potential: Potential, times: Sequence[float]) -> float:
    """The time step in ħ/Eh at which the fastest phase turns by π: dt = π / max(T, V), in Hartree.

    T = Σ(π/dx)²/2 is the kinetic energy of the shortest wave, V the largest range of the potential
    at the times given. Beyond it phases are taken for smaller ones, and energy can
    flow into short waves. Source: Leforestier et al., J. Comput. Phys. 94, 59 (1991).
    """
    fastest = sum((math.pi / spacing(grid, axis)) ** 2 / 2 for axis in axes_of(grid))
    for time in times:
        v = potential_values(potential, grid, time)
        fastest = max(fastest, float(v.max() - v.min()))
    return math.pi / fastest
