"""The default box of eigenstates: where the built-in potentials let the n lowest of them go."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Final

from ...errors import InvalidInput
from ...lattice.grid import Grid
from ...wording import option
from ..analytic.fit import fitting_edge
from ..analytic.formula import with_extents
from ..evolve.potentials import BoxTrap, HarmonicTrap, Potential, SoftCoulomb
from ..parameters import positive, reals

WALL_DECAYS: Final = 12.0
"""Decay lengths 1/√(2m·height) of a box trap for which there is room beyond each wall: e^{−24} is beyond."""

COULOMB_DECAYS: Final = 15.0
"""Decay lengths N/Zm for which there is room beyond the orbit 2N²/Zm of the N-th shell."""


THOMAS_FERMI: Final = {1: 4 / 3, 2: math.pi / 2, 3: 8 * math.pi / 15}
"""∫(1 − r²) over the unit ball, by dimensions."""


def laid(grid: Grid, potential: Potential, n: int, g: float) -> Grid:
    """The grid with its unknown spacings laid over a box for the `n` lowest states, or the one with `g`, around 0.

    Raises InvalidInput if there is no default box for this potential.
    """
    d = grid.dimensions
    if all(axis.step is not None for axis in grid.axes[1 : d + 1]):
        return grid
    if isinstance(potential, HarmonicTrap):
        return with_extents(grid, _harmonic(potential, grid, n, max(g, 0.0)))
    if isinstance(potential, BoxTrap) and potential.height > 0:
        centres = reals("centre", potential.centre, d)
        room = 2 * WALL_DECAYS / math.sqrt(2 * grid.mass * potential.height)
        widths = positive("width", potential.width, d)
        return with_extents(grid, [w + room + 2 * abs(c) for w, c in zip(widths, centres, strict=True)])
    if isinstance(potential, SoftCoulomb) and potential.Z > 0:
        shell = n / 2 + 1 if d == 1 else _shell(n, d)
        half = (2 * shell**2 + COULOMB_DECAYS * shell) / (potential.Z * grid.mass) + potential.soft
        return with_extents(grid, [2 * half] * d)
    raise InvalidInput(f"potential {potential.spec} has no box of its own: give {option('box')}")


def _harmonic(trap: HarmonicTrap, grid: Grid, n: int, g: float) -> list[float]:
    d = grid.dimensions
    omegas, centres = positive("omega", trap.omega, d), reals("centre", trap.centre, d)
    # Thomas and Fermi: ∫(μ − V) dV = g over the ellipsoid of the half axes √(2μ/m)/ω.
    mu = (g * math.prod(omegas) / THOMAS_FERMI[d] * (grid.mass / 2) ** (d / 2)) ** (2 / (d + 2))
    edges = []
    for points, omega, centre, highest in zip(
        grid.shape[1:], omegas, centres, _highest(omegas, n), strict=False
    ):
        scale, turning = math.sqrt(omega * grid.mass), math.sqrt(2 * highest + 1)
        edge = fitting_edge(
            points,
            reach=max(turning, math.sqrt(2 * mu / omega)) / scale,
            width=1 / scale,
            momentum=turning * scale,
            spread=scale,
        )
        edges.append(edge + 2 * abs(centre))
    return edges


def _highest(omegas: Sequence[float], n: int) -> list[int]:
    """The highest quantum number along each axis in the levels of the `n` lowest states of an oscillator."""
    first = (0,) * len(omegas)
    waiting, seen, highest = [(0.0, first)], {first}, [0] * len(omegas)
    count, last = 0, 0.0
    while count < n or waiting[0][0] <= last * (1 + 1e-9):
        last, numbers = heapq.heappop(waiting)
        count += 1
        highest = [max(a, b) for a, b in zip(highest, numbers, strict=True)]
        for axis in range(len(omegas)):
            more = (*numbers[:axis], numbers[axis] + 1, *numbers[axis + 1 :])
            if more not in seen:
                seen.add(more)
                heapq.heappush(waiting, (sum(w * k for w, k in zip(omegas, more, strict=True)), more))
    return highest


def _shell(n: int, d: int) -> int:
    """The shell of hydrogen in two or three dimensions that has the n-th state: of 2N−1 or N² states."""
    shell = 1
    while sum(k * k if d == 3 else 2 * k - 1 for k in range(1, shell + 1)) < n:
        shell += 1
    return shell
