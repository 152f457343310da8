"""How large a time step may be, so that no phase turns by more than π in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ...lattice.grid import Grid
from ...observables.geometry import spacing, spatial_axes
from .potentials import Potential, potential_values

TIMES_INSIDE: Final = 15
"""Times between the first and the last frame at which a time-dependent potential is evaluated before the run."""

GOLDEN: Final = (math.sqrt(5) - 1) / 2


def times_of(grid: Grid) -> list[float]:
    """The times in ħ/Eh of the first and the last frame, and TIMES_INSIDE between them, at no regular distance."""
    axis = grid.axes[0]
    last = (grid.shape[0] - 1) * (axis.step or 0.0)
    if not last:
        return [axis.origin]
    shares = [0.0, 1.0, *((number * GOLDEN) % 1 for number in range(1, TIMES_INSIDE + 1))]
    return [axis.origin + share * last for share in shares]


def stable_step(grid: Grid, potential: Potential, times: Sequence[float]) -> float:
    """The time step in ħ/Eh in which the fastest phase turns by π: dt = π / max(T, V), in Hartree.

    T = Σ(π/dx)²/2 is the kinetic energy of the shortest wave, V the largest range of the potential
    at the times given. In a longer step a phase beyond π cannot be told from a smaller one, and energy
    can flow into short waves. Source: Leforestier et al., J. Comput. Phys. 94, 59 (1991).
    """
    fastest = sum((math.pi / spacing(grid, axis)) ** 2 / 2 for axis in spatial_axes(grid))
    for time in times:
        v = potential_values(potential, grid, time)
        fastest = max(fastest, float(v.max() - v.min()))
    return math.pi / fastest
