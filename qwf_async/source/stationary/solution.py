"""From a potential to its settled eigenstates: the grids in turn, what is checked, what is told of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...lattice.grid import Grid
from ...observables.geometry import volume
from ..evolve.potentials import Potential, potential_values
from .condensate import condensate, energy_of, spread_out
from .fitness import jump_error, shortest_waves, unfit
from .hamiltonian import Hamiltonian
from .levels import COARSE_ACCURACY, grids, interpolated, thinned
from .lowest import Guess, Lowest, NotConverged, lowest
from .phases import settle
from .rows import norms

Real = NDArray[np.float64]


MAX_COLLAPSED: Final = 0.01
"""Share of the kinetic energy in the shortest waves of the grid, from which an attracted ψ counts as collapsed."""


MAX_JUMP_ERROR: Final = 1e-3
"""Error of the energies from jumps of V, in units of the highest energy above the lowest V, that is told."""


MAX_ROUNDING: Final = 1e-3
"""What rounding may leave of ‖Hψ − Eψ‖, in units of ⟨T⟩, beyond which states are not told from each other."""

TOLD_ROUNDING: Final = 1e-6
"""The same, from which it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """States ψ[n, x, y, z], real, in bohr^(−d/2), with what is told of them: numbers and warnings."""

    psi: Real
    facts: dict[str, float]
    remarks: list[str]


def eigenstates(
    potential: Potential, grid: Grid, n: int, accuracy: float, check: Callable[[], None]
) -> Solution:
    """The `n` lowest eigenstates. Raises NotConverged, InvalidInput for an unfit potential, and what `check` raises."""
    path, v = grids(grid), potential_values(potential, grid, 0.0)
    guess: Guess | None = None
    for present, finer in pairwise(path):
        h = Hamiltonian(grid=present, values=thinned(v, grid, present), check=check)
        try:
            found = lowest(h, n, max(accuracy, COARSE_ACCURACY), guess)
        except NotConverged:  # a coarse grid may not hold the states: the finer one begins anew
            guess = None
            continue
        guess = partial(interpolated, np.concatenate([found.states, found.spares]), present, finer)
    h = Hamiltonian(grid=grid, values=v, check=check)
    found = lowest(h, n, accuracy, guess)
    states = found.states
    rounded = _rounded(h, float(h.kinetic(states, found.energies - h.floor).max()))
    settle(states, found.energies, grid, found.bound)
    states = states[:n].copy()
    remarks = _level_cut(n, found)
    bound, iterations = found.bound, found.iterations
    del found, guess  # they hold several states each
    energies, residuals = _measured(h, states)
    if not residuals.max() <= bound:
        raise NotConverged(
            f"the states did not converge: ‖Hψ − Eψ‖ is {residuals.max():.2g} Eh, and accuracy={accuracy:g} "
            f"asks for {bound:.2g} Eh: give a larger accuracy="
        )
    psi = states.reshape(n, *grid.shape[1:])
    psi /= math.sqrt(volume(grid))
    remarks = [*unfit(psi, grid), *rounded, *remarks]
    facts = {f"energy_{number}": float(energy) for number, energy in enumerate(energies)}
    facts |= {"energy_residual": float(residuals.max()), "iterations": float(iterations)}
    if potential.jumps:
        error = facts["energy_jump_error"] = jump_error(psi, h.v.reshape(psi.shape[1:]), grid)
        if error > MAX_JUMP_ERROR * (energies.max() - h.floor):
            remarks.append(
                f"the potential jumps between points: the energies may be off by {error:.1g} Eh; "
                "it falls with the square of the number of points along an axis"
            )
    return Solution(psi=psi, facts=facts, remarks=remarks)


def ground_state(
    potential: Potential, grid: Grid, g: float, accuracy: float, check: Callable[[], None]
) -> Solution:
    """The ground state with g|ψ|², g in Eh·bohr^d. Raises as `eigenstates`."""
    path, v = grids(grid), potential_values(potential, grid, 0.0)
    h = Hamiltonian(grid=path[0], values=thinned(v, grid, path[0]), check=check)
    guess = np.abs(lowest(h, 1, COARSE_ACCURACY).states[0])
    if g < 0:
        guess = _gathered(guess, path[0])
    else:
        guess = min(guess, spread_out(h, g / volume(path[0])), key=partial(energy_of, h, g / volume(path[0])))
    for present in path:
        last = present is grid
        if present is not path[0]:
            h = Hamiltonian(grid=present, values=thinned(v, grid, present), check=check)
        wanted = accuracy if last else max(accuracy, COARSE_ACCURACY)
        found = condensate(h, g / volume(present), wanted, guess)
        if not last:
            guess = interpolated(found.state[None], present, path[path.index(present) + 1])[0]
    states = found.state[None]
    rounded = _rounded(h, found.energy - h.floor)
    settle(states, np.zeros(1), grid, 0.0)
    psi = states.reshape(1, *grid.shape[1:])
    psi /= math.sqrt(volume(grid))
    if g < 0 and shortest_waves(psi, grid) > MAX_COLLAPSED:
        raise InvalidInput(
            f"g={g:g} makes ψ collapse to the spacing of the grid: either there is no ground state with so much "
            "attraction, or the grid is too coarse for it"
        )
    facts = {
        "energy_0": found.energy,
        "chemical_potential": found.chemical_potential,
        "energy_residual": found.residual,
        "iterations": float(found.iterations),
    }
    return Solution(psi=psi, facts=facts, remarks=[*unfit(psi, grid), *rounded])


def _rounded(h: Hamiltonian, energy: float) -> list[str]:
    """A warning of walls so high that only rounding is left of states of about this `energy` above the lowest V.

    Raises NotConverged where rounding hides the states.
    """
    scale = max(energy, h.longest_wave)
    if h.rounding <= TOLD_ROUNDING * scale:
        return []
    text = f"the potential reaches {h.v.max() + h.floor:.2g} Eh, and rounding leaves ‖Hψ − Eψ‖ at {h.rounding:.2g} Eh"
    if h.rounding > MAX_ROUNDING * scale:
        raise NotConverged(f"the states are lost in rounding: {text}: give it lower walls")
    return [f"{text}: levels that are nearer to each other count as one; lower walls tell them apart"]


def _level_cut(n: int, found: Lowest) -> list[str]:
    """A warning, if the last of `n` states is one of a level that goes on."""
    if len(found.states) == n and found.whole:
        return []
    whole = f"n={len(found.states)}" if found.whole else f"more than n={len(found.states)}"
    return [f"state {n - 1} belongs to a level of which n={n} cuts off a part: give {whole} for all of it"]


def _measured(h: Hamiltonian, states: Real) -> tuple[Real, Real]:
    """⟨H⟩ and ‖Hψ − ⟨H⟩ψ‖ of each state, computed anew, in Hartree."""
    energies, residuals = np.empty(len(states)), np.empty(len(states))
    applied = np.empty_like(states[:1])
    for number, state in enumerate(states):
        h.apply(state[None], applied)
        energies[number] = np.einsum("p,p->", state, applied[0])
        applied -= energies[number] * state
        residuals[number] = norms(applied)[0]
    return energies + h.floor, residuals


def _gathered(state: Real, grid: Grid) -> Real:
    """A state with a hump in the middle of the grid: where all points are alike, attraction has to begin somewhere."""
    hump = np.ones((1, 1, 1))
    for own, size in enumerate(grid.shape[1:]):
        x = (np.arange(size) - size // 2) / max(1, size)
        # x is [n] of this axis: as [n, 1, 1], [1, n, 1] or [1, 1, n] the factors multiply to [x, y, z].
        hump = hump * np.exp(-32 * x**2).reshape([-1 if axis == own else 1 for axis in range(3)])
    result: Real = state * (1 + hump).reshape(-1)
    return result
