"""How large a time step may be, so that no phase turns by more than π in it, and how strong an interaction."""

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


def stable_step(
    grid: Grid, potential: Potential, times: Sequence[float], *, interaction: float = 0.0
) -> float:
    """The time step in ħ/Eh in which the fastest phase turns by π: dt = π / max(T, V), in Hartree.

    T = Σ(π/dx)²/2m is the kinetic energy of the shortest wave, V the largest range of the potential
    at the times given, or the `interaction` g|ψ|² at its peak if that is larger. In a longer step a
    phase beyond π cannot be told from a smaller one, and energy can flow into short waves. Source:
    Leforestier et al., J. Comput. Phys. 94, 59 (1991).
    """
    kinetic = sum((math.pi / spacing(grid, axis)) ** 2 / 2 for axis in spatial_axes(grid)) / grid.mass
    fastest = max(kinetic, abs(interaction))
    for time in times:
        v = potential_values(potential, grid, time)
        fastest = max(fastest, float(v.max() - v.min()))
    return math.pi / fastest


def most_interaction(grid: Grid) -> float:
    """The largest |g||ψ|² in Hartree of which the grid holds the waves: (π/dx)²/4m along its finest axis.

    A soliton in which it is that large is 2/π spacings wide, and its shortest wave on the grid has 9 % of
    the amplitude of its longest. A repulsion of that size drives waves of half the shortest length.
    Source: the soliton of Zakharov and Shabat, Sov. Phys. JETP 34, 62 (1972).
    """
    finest = min(spacing(grid, axis) for axis in spatial_axes(grid))
    return (math.pi / finest) ** 2 / (4 * grid.mass)
