"""Whether the grid holds eigenstates: what of them is at its edges, and in its shortest waves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import AXIS_NAMES, Grid
from ...observables.geometry import spatial_axes, volume
from ...observables.momentum import wave_sums
from ...wording import option

Real = NDArray[np.float64]

AT_EDGE: Final = 1e-6
"""Density at the edges, in units of the mean density, from which a state is not bound within the box."""

SHORTEST: Final = 7 / 8
"""From this share of the largest wave number on, waves count as the shortest."""

IN_SHORTEST: Final = 1e-4
"""The share of the kinetic energy in the shortest waves from which the grid is too coarse."""


def unfit(psi: Real, grid: Grid) -> list[str]:
    """Warnings of states ψ[n, x, y, z] that are not bound within the box, and of a grid too coarse for them."""
    return [*_not_bound(psi, grid), *_too_coarse(psi, grid)]


def jump_error(psi: Real, v: Real, grid: Grid) -> float:
    """By how much the energies may be off where V[x, y, z] jumps, in Hartree: (dx²/12) |∫V ∂²|ψ|²/∂x² dV|.

    V is its mean over a cell there. Of what that leaves out, this is the first order, for edges between
    two cells, where it is largest: measured, the energies are off by 0 to 1.05 times as much.
    """
    worst = 0.0
    for state in psi:
        density, total = state * state, 0.0
        for axis in spatial_axes(grid):
            bend = np.roll(density, 1, axis - 1) + np.roll(density, -1, axis - 1) - 2 * density
            total += abs(float(np.einsum("xyz,xyz->", np.broadcast_to(v, bend.shape), bend))) / 12
        worst = max(worst, total * volume(grid))
    return worst


def _not_bound(psi: Real, grid: Grid) -> list[str]:
    reaching: dict[str, list[int]] = {}
    for axis in spatial_axes(grid):
        size = grid.shape[axis]
        for number, state in enumerate(psi):
            density = np.einsum(f"xyz,xyz->{AXIS_NAMES[axis]}", state, state)
            if (density[0] + density[-1]) / 2 > AT_EDGE * density.sum() / size:
                reaching.setdefault(AXIS_NAMES[axis], []).append(number)
    if not reaching:
        return []
    axes, numbers = ", ".join(reaching), sorted(set().union(*reaching.values()))
    return [
        f"{_states(numbers)} at the edges of the box along {axes}: not bound within it, or the box is too small. "
        f"The grid is periodic, so the energy depends on {option('box')}"
    ]


def shortest_waves(psi: Real, grid: Grid) -> float:
    """The largest share of the kinetic energy that is in the shortest waves along an axis."""
    return float(_shares(psi, grid).max())


def _too_coarse(psi: Real, grid: Grid) -> list[str]:
    share = _shares(psi, grid)
    coarse = [AXIS_NAMES[axis] for axis in spatial_axes(grid) if share[axis - 1] > IN_SHORTEST]
    if not coarse:
        return []
    return [
        f"the grid is too coarse along {', '.join(coarse)}: {100 * share.max():.2g} % of the kinetic energy is in "
        "its shortest waves, so the energies are off by about as much"
    ]


def _shares(psi: Real, grid: Grid) -> Real:
    """The largest share of the states' kinetic energy in the shortest waves along x, y, z, [3]."""
    kinetic, shortest = np.zeros(len(psi)), np.zeros((3, len(psi)))
    for axis in spatial_axes(grid):
        k, density = wave_sums(psi, grid, axis)
        energy = density * k**2
        kinetic += energy.sum(axis=1)
        shortest[axis - 1] = energy[:, abs(k) >= SHORTEST * abs(k).max()].sum(axis=1)
    largest: Real = shortest.max(axis=1) / (kinetic.max() or 1.0)
    return largest


def _states(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"state {numbers[0]} is"
    return f"states {', '.join(map(str, numbers[:5]))}{' …' * (len(numbers) > 5)} are"
