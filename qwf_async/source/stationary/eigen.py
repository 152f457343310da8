"""The lowest eigenstates of a potential as frames; a Source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...checked import checked
from ...errors import InvalidInput
from ...host.cores import cores
from ...lattice.grid import UNKNOWN_AXIS, Box, Grid, Order
from ...optional import library
from ...wording import option
from ..analytic.formula import usable
from ..base import identity
from ..evolve.potentials import FunctionPotential, Potential, potential_of, potential_values
from ..evolve.propagator import Stopped
from ..parameters import number_text
from .extents import laid
from .lowest import block_size, is_dense
from .solution import Solution, eigenstates, ground_state

METHOD: Final = "lobpcg-1"
"""Changed when the values change for the same parameters: no load may continue with another method's values."""

ACCURACY: Final = 1e-8
"""Default bound on ‖Hψ − Eψ‖ in units of the largest kinetic energy of the states."""

MAX_ONE_THREAD: Final = 90
"""Rows of the small matrices up to which their rounding does not depend on the number of cores, measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eigen:
    """The lowest eigenstates of a potential; see `eigen`."""

    potential: Potential
    grid: Grid
    g: float
    accuracy: float
    _found: dict[str, Solution] = field(init=False, repr=False, compare=False, default_factory=dict)
    _closed: list[bool] = field(init=False, repr=False, compare=False, default_factory=list)

    @property
    def order(self) -> Order:
        return "C"

    @property
    def spec(self) -> str:
        """The states as they can be given on the command line, if the potential can be."""
        own = self.potential.parameters
        words = [f"potential={self.potential.name if own else self.potential.spec}"]
        words += [f"{key}={value}" for key, value in own.items()]
        words += [f"n={self.grid.shape[0]}"]
        words += [f"g={number_text(self.g)}"] * (self.g != 0)
        words += [f"mass={number_text(self.grid.mass)}"] * (self.grid.mass != 1)
        return f"eigen:{','.join(words)},accuracy={number_text(self.accuracy)}"

    def read(self, box: Box) -> NDArray[np.complex128]:
        """ψ over the box, a copy, in C order. The first call computes all states.

        Raises InvalidInput if they do not converge, or if the source is closed meanwhile.
        """
        return self._solution().psi[box.slices].astype(np.complex128)

    def sample(self, box: Box) -> NDArray[np.complex128]:
        """Random numbers of the size of ψ in place of ψ over the box: nothing is computed for them."""
        values = np.random.default_rng(0).standard_normal(box.shape)
        scale = np.sqrt(self.grid.frame_points * (self.grid.cell_volume or 1.0))
        return np.asarray(values / scale, np.complex128)

    def fingerprint(self) -> str:
        """Potential, method and grid, and the releases of the libraries that ψ depends on.

        A user's potential is represented by a hash of its values. For many states the number of
        cores is a part of it: the rounding of larger matrix products depends on that.
        """
        from importlib.metadata import version  # 25 ms that few sources need

        facts = [self.spec, f"method={METHOD}", f"numpy={np.__version__}", f"scipy={version('scipy')}"]
        n, points = self.grid.shape[0], self.grid.frame_points
        rows = points if is_dense(points, n) else 3 * block_size(n)
        if rows > MAX_ONE_THREAD:
            facts += [f"cores={cores()}"]
        if isinstance(self.potential, FunctionPotential):
            v = potential_values(self.potential, self.grid, 0.0)
            facts += [f"potential={hashlib.sha256(np.ascontiguousarray(v).data).hexdigest()[:32]}"]
        return identity(*facts, grid=self.grid)

    def notes(self) -> dict[str, float]:
        """For the report: the energies in Hartree, the largest residual, iterations on the finest grid."""
        found = self._found.get("solution")
        return {} if found is None else found.facts

    def remarks(self) -> list[str]:
        """Warnings: states that are not bound within the box, a grid that is too coarse, a level cut in two."""
        found = self._found.get("solution")
        return [] if found is None else found.remarks

    def understood(self) -> dict[str, str]:
        """For a dry run: what will be computed."""
        if self.g:
            return {"states": f"the ground state with g|ψ|², g={self.g:g}"}
        return {"states": f"the {self.grid.shape[0]} lowest of this potential, in rising energy"}

    def close(self) -> None:
        """Release the states. A computation that is running ends after its present transform, and raises."""
        self._closed.append(True)
        self._found.clear()

    def _solution(self) -> Solution:
        found = self._found.get("solution")
        if found is not None:
            return found
        try:
            self._check()
            if self.g:
                found = ground_state(self.potential, self.grid, self.g, self.accuracy, self._check)
            else:
                found = eigenstates(self.potential, self.grid, self.grid.shape[0], self.accuracy, self._check)
        except Stopped as error:
            raise InvalidInput("the states were closed: open the source again") from error
        self._found["solution"] = found
        return found

    def _check(self) -> None:
        if self._closed:
            raise Stopped


@checked
def eigen(
    grid: Grid,
    potential: Potential | Callable[..., Any] | str = "harmonic",
    *,
    n: int = 1,
    g: float = 0.0,
    mass: float | None = None,
    accuracy: float = ACCURACY,
) -> Eigen:
    """The `n` lowest eigenstates of H = p²/2m + V in 1 to 3 dimensions, one a frame, in rising energy.

    `potential` is as for `evolve`, but must not depend on time. The grid is periodic, and p² is
    taken by FFT. An unknown spacing is set for the potentials harmonic, box and coulomb, by the states
    that are asked for. `mass` in electron masses is that of the grid unless given. The t axis
    counts states: it has neither a unit nor a step.

    Every state has Σ|ψ|²dV = 1 and is real; signs, and the states of a degenerate level, are chosen
    as `phases` says. States of one level are orthogonal.

    With `g` (Eh·bohr^d) it is the ground state of the Gross–Pitaevskii equation, with g|ψ|² beside V;
    then `n` is 1.

    They are computed at the first read, until ‖Hψ − Eψ‖ is at most `accuracy` times the largest ⟨T⟩ of
    the states, or is rounding. Errors of energies are of second order in that. If they do not converge,
    reading raises InvalidInput. `notes` has energies and residuals, `remarks` the doubts.

    Memory: 3(n+k) frames of complex128 while they are computed, k = max(3, n/4), and four frames
    besides; then n/2 frames. With `g` it is ten frames.
    Raises InvalidInput for a potential that is unknown, unfit or depends on time, a grid without
    extents, or parameters out of range, and UsageError where SciPy is not installed.
    """
    library("scipy", extra="physics", what="a computation of eigenstates")
    chosen = potential_of(potential)
    if chosen.moving:
        raise InvalidInput(f"potential {chosen.spec} depends on time: it has no eigenstates")
    grid = usable(grid, mass)
    if not 1 <= n <= grid.frame_points:
        raise InvalidInput(f"n={n} must be from 1 to the {grid.frame_points:,} points of the grid")
    if g and n > 1:
        raise InvalidInput(f"with g={g:g} there is only the ground state: n={n} must be 1")
    if not abs(g) <= 1e50:
        raise InvalidInput(f"g={g:g} must be finite, and at most 1e50 in magnitude")
    if not 1e-12 <= accuracy <= 0.1:
        raise InvalidInput(f"accuracy={accuracy:g} must lie between 1e-12 and 0.1")
    if grid.shape[0] not in (1, n):
        raise InvalidInput(f"{option('frames', grid.shape[0])} does not fit n={n}: every state is a frame")
    grid = laid(replace(grid, shape=(n, *grid.shape[1:]), axes=(UNKNOWN_AXIS, *grid.axes[1:])), chosen, n, g)
    potential_values(chosen, grid, 0.0)
    return Eigen(potential=chosen, grid=grid, g=float(g), accuracy=float(accuracy))
