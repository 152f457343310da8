"""The lowest eigenstates of H by the locally optimal block preconditioned conjugate gradient method.

Each iteration takes the best states (Rayleigh and Ritz) out of the span of the present ones, of their
preconditioned residuals, and of the directions that led to the present ones. All are kept
orthonormal. Some states more than asked for are iterated with, so that the gap to the
rest is wide, and a level is not cut. At least one of them begins as random numbers, so a state that
was not in the first guess is found.

Sources: Knyazev, SIAM J. Sci. Comput. 23, 517 (2001); orthonormal directions: Hetmaniuk and
Lehoucq, J. Comput. Phys. 218, 324 (2006).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from .hamiltonian import Hamiltonian
from .rows import combine, norms, products, subtract

Real = NDArray[np.float64]
Guess = Callable[[], Real]

DENSE_POINTS: Final = 128
"""Points up to which the matrix of H is diagonalised."""

PATIENCE: Final = 200
"""Iterations in which the largest residual must halve at least."""

SCALES: Final = (4.0, 2.0, 16.0)
"""Scales of the preconditioner in turn, as multiples of the mean kinetic energy.

Measured: 4 is best for smooth potentials, 2 for Coulomb potentials, 16 for walls of 1000 Eh. In turn
they take at most 1.3 times as many iterations as the best of them.
"""

SEED: Final = 13
"""Of the random first guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowest:
    """States ψ[m, N] with Σψ² = 1, and their energies [m] in Hartree, with all states of the last level.

    ‖Hψ − Eψ‖ of each is at most half of `bound`, in Hartree: states whose energies are nearer to each
    other than `bound` count as one level. `whole` tells that the last level is whole for certain.
    `spares` are states [·, N] beyond, which have not converged.
    """

    states: Real
    energies: Real
    bound: float
    whole: bool
    iterations: int
    spares: Real


class NotConverged(InvalidInput):
    """The residuals do not fall any more."""


def block_size(n: int) -> int:
    """States that are iterated with to find `n`."""
    return n + max(3, n // 4)


def is_dense(points: int, n: int) -> bool:
    """Whether the matrix of H is diagonalised: of few points, or where most of all states are asked for."""
    return points <= DENSE_POINTS or 4 * block_size(n) > points


def lowest(h: Hamiltonian, n: int, accuracy: float, guess: Guess | None = None) -> Lowest:
    """The `n` lowest eigenstates: ‖Hψ − Eψ‖ is at most `accuracy` times the largest ⟨T⟩ of them, or rounding.

    `guess` returns states [·, N] to begin with. Raises NotConverged if the residuals do not fall any more.
    """
    if is_dense(h.points, n):
        return _dense(h, n, accuracy)
    return _Iteration(h, n, guess).run(accuracy)


def _dense(h: Hamiltonian, n: int, accuracy: float) -> Lowest:
    from scipy import linalg  # heavy, and optional

    energies, columns = linalg.eigh(h.matrix())
    states = np.ascontiguousarray(columns.T)
    bound = max(accuracy * float(h.kinetic(states[:n], energies[:n]).max()), h.rounding)
    count = _end_of_level(energies, n, bound)
    return Lowest(
        states=states[:count],
        energies=energies[:count] + h.floor,
        bound=bound,
        whole=True,
        iterations=1,
        spares=states[count:],
    )


def _end_of_level(energies: Real, n: int, bound: float) -> int:
    """How many of rising energies belong to the first `n` or to the last level of these."""
    count = n
    while count < len(energies) and energies[count] - energies[count - 1] <= bound:
        count += 1
    return count


class _Iteration:
    """The states, and the directions and residuals behind them, in one array, and H times it in another."""

    def __init__(self, h: Hamiltonian, n: int, guess: Guess | None) -> None:
        self.h, self.n, self.size = h, n, block_size(n)
        self.basis = np.empty((3 * self.size, h.points))
        self.applied = np.empty_like(self.basis)
        self.directions = 0
        known, random = 0, np.random.default_rng(SEED)
        block = self.basis[: self.size]
        if guess is not None:
            begun = guess()[: self.size - 1]
            known = len(begun)
            block[:known] = begun
            del begun
        for row in block[known:]:
            row[:] = random.standard_normal(h.points)
        for _ in range(2):
            h.precondition(block[known:], h.smooth, h.smooth)
        count = self._orthonormalise(0, self.size)
        if count < self.size:
            raise InvalidInput("the first guess of the states has fewer dimensions than states are asked for")
        h.apply(block, self.applied[: self.size])
        self.energies = self._rotate(products(block, self.applied[: self.size]), self.size)

    def run(self, accuracy: float) -> Lowest:
        best, since, iteration = math.inf, 0, 0
        while True:
            residuals, kinetic = self._residuals()
            bound = max(accuracy * float(kinetic[: self.n].max()), self.h.rounding)
            count = _end_of_level(self.energies, self.n, bound)
            largest = float(residuals[:count].max())
            if largest <= bound / 2 and self._nothing_below(count, residuals, bound):
                return self._result(count, bound, iteration)
            if largest < best / 2:
                best, since = largest, iteration
            if iteration - since > PATIENCE:
                raise NotConverged(
                    f"the states did not converge: ‖Hψ − Eψ‖ stays at {best:.2g} Eh, and "
                    f"accuracy={accuracy:g} asks for {bound / 2:.2g} Eh: give a larger accuracy=, "
                    "or a potential with lower walls"
                )
            self._step(residuals, float(kinetic.mean()), bound, SCALES[iteration % len(SCALES)])
            iteration += 1

    def _residuals(self) -> tuple[Real, Real]:
        """‖Hψ − Eψ‖ and ⟨T⟩ of the states. The residuals themselves are left behind states and directions."""
        m = self.size
        states, into = self.basis[:m], self.basis[2 * m :]
        for row, own, applied, energy in zip(into, states, self.applied, self.energies, strict=False):
            np.multiply(own, -energy, out=row)
            row += applied
        return norms(into), self.h.kinetic(states, self.energies)

    def _nothing_below(self, count: int, residuals: Real, bound: float) -> bool:
        """Whether the first state beyond the last level has settled above it; there may be none in the block."""
        if count == self.size:
            return True
        return bool(self.energies[count] - residuals[count] > self.energies[count - 1] + bound)

    def _step(self, residuals: Real, kinetic: float, bound: float, factor: float) -> None:
        m, h = self.size, self.h
        active = residuals > bound / 4
        count = int(active.sum())
        start = m + self.directions
        for place, number in enumerate(np.flatnonzero(active)):
            self.basis[start + place] = self.basis[2 * m + number]
        new = self.basis[start : start + count]
        scale = max(factor * kinetic, h.rounding)
        h.precondition(new, float(self.energies[self.n - 1]), scale)
        count = self._orthonormalise(start, count)
        total = start + count
        h.apply(self.basis[start:total], self.applied[start:total])
        inner = products(self.basis[:total], self.applied[:total])
        self.energies = self._rotate(inner, total, active)

    def _orthonormalise(self, start: int, count: int) -> int:
        """Make `count` rows from `start` on orthonormal, to those before as well; returns how many are left.

        Directions that are nearly in the span of others are left out. Source: Stathopoulos and Wu,
        SIAM J. Sci. Comput. 23, 2165 (2002).
        """
        from scipy import linalg  # heavy, and optional

        for _ in range(2):
            self.h.check()
            before, rows = self.basis[:start], self.basis[start : start + count]
            if start:
                subtract(rows, before, products(rows, before))
            inner = products(rows, rows)
            lengths = np.sqrt(np.diag(inner))
            usable = lengths > 0
            unit = np.where(usable, 1 / np.where(usable, lengths, 1.0), 0.0)
            values, vectors = linalg.eigh(inner * unit * unit[:, None])
            kept = values > 1e-12 * values[-1]
            combine(rows, unit[:, None] * vectors[:, kept] / np.sqrt(values[kept]))
            count = int(kept.sum())
        return count

    def _rotate(self, inner: Real, total: int, active: NDArray[np.bool_] | None = None) -> Real:
        """The best states in the span of `total` rows, and the directions to them; returns their energies."""
        from scipy import linalg  # heavy, and optional

        self.h.check()
        m = self.size
        energies, vectors = linalg.eigh((inner + inner.T) / 2)
        best = vectors[:, :m]
        chosen: Any = best
        self.directions = 0
        if active is not None:
            # The directions: what is new in the active states, orthogonal to all states.
            ahead = best[:, active].copy()
            ahead[:m] = 0
            ahead -= best @ (best.T @ ahead)
            left, sizes, _ = linalg.svd(ahead, full_matrices=False)
            ahead = left[:, sizes > 1e-10]
            ahead -= best @ (best.T @ ahead)
            self.directions = ahead.shape[1]
            chosen = np.hstack([best, ahead])
        combine(self.basis[:total], chosen)
        self.h.check()
        combine(self.applied[:total], chosen)
        lowest: Real = energies[:m]
        return lowest

    def _result(self, count: int, bound: float, iterations: int) -> Lowest:
        return Lowest(
            states=self.basis[:count],
            energies=self.energies[:count] + self.h.floor,
            bound=bound,
            whole=count < self.size,
            iterations=iterations,
            spares=self.basis[count : self.size],
        )
