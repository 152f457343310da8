"""How large a time step may be."""

from __future__ import annotations

import math

from ...grid import Grid
from ...observables.lattice import axes_of, spacing
from .potentials import Potential, values


def stable_step(grid: Grid, potential: Potential) -> float:
    """The time step in ħ/Eh at which the fastest phase turns by π: dt = π / max(T, V), in Hartree.

    T = Σ(π/dx)²/2 is the kinetic energy of the shortest wave, V the range of the potential at
    the first and the last time. Beyond it phases are taken for smaller ones, and energy can
    flow into short waves. Source: Leforestier et al., J. Comput. Phys. 94, 59 (1991).
    """
    fastest = sum((math.pi / spacing(grid, axis)) ** 2 / 2 for axis in axes_of(grid))
    axis = grid.axes[0]
    for number in {0, grid.shape[0] - 1}:
        v = values(potential, grid, axis.origin + number * (axis.step or 0.0))
        fastest = max(fastest, float(v.max() - v.min()))
    return math.pi / fastest
