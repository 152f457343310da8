"""States of the harmonic oscillator: superpositions of eigenstates, and the coherent state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...grid import Box, Grid
from .levels import OscillatorLevels, Superposition
from .parameters import LARGEST, Displacement, Scale, positive, spread, written
from .state import Analytic, product, usable, with_extents, with_frames

HIGHEST: Final = 500
"""Quantum numbers beyond this would need e^{−ξ²/2} below the smallest float64 inside the classical region."""

MARGIN: Final = 6.0
"""How far the default grid reaches beyond the classical turning points, in units of 1/√ω: e^{−36} at n = 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmonic(Analytic):
    """A superposition of eigenstates of the harmonic oscillator, see `harmonic`."""

    name: ClassVar[str] = "harmonic"
    n: Superposition
    omega: tuple[float, ...]

    def read(self, box: Box) -> NDArray[np.complex128]:
        def energy(axis: int, n: int) -> float:
            return (n + 0.5) * self.omega[axis]

        def wave(axis: int, n: int) -> NDArray[np.float64]:
            return eigenfunction(n, self.omega[axis], self.along(axis, box))

        return self.n.at(self.times(box), energy, wave)


def harmonic(n: OscillatorLevels = 0, *, omega: Scale = 1.0, grid: Grid | None = None) -> Harmonic:
    """Eigenstates of the harmonic oscillator and their superpositions, exact in time.

    `n`: the quantum number from 0 (one an axis in more dimensions, 0 where none is
    given), or a coefficient for each eigenstate of a superposition, as in
    `harmonic({0: 1, 1: 1})`; they are normalised. `omega`: angular frequency (Eh/ħ), one
    number or one an axis. Energies (n + 1/2)ω along each axis; for the eigenfunctions
    see `eigenfunction`.

    Default grid: 64³, centred, six lengths 1/√ω beyond the classical turning points;
    frames by default over one period 2π/ω of the slowest axis.
    Raises InvalidInput for n below 0 or above 500, ω ≤ 0, too many values, or
    coefficients all 0.
    """
    grid = usable(grid)
    d = grid.dimensions
    levels = Superposition.of(n, lowest=0, limits=[HIGHEST] * d)
    omegas = positive("omega", omega, d)
    edges = [
        2 * (math.sqrt(2 * levels.highest(axis) + 1) + MARGIN) / math.sqrt(w) for axis, w in enumerate(omegas)
    ]
    grid = with_extents(with_frames(grid, 2 * math.pi / min(omegas)), edges)
    return Harmonic(n=levels, omega=omegas, grid=grid)


def eigenfunction(n: int, omega: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """φ_n(x) = (ω/π)^{1/4} (2ⁿn!)^{−1/2} H_n(ξ) e^{−ξ²/2}, ξ = √ω x, float64, in bohr^(−1/2).

    By the recurrence of the normalised functions, which is stable. Source: Griffiths,
    Introduction to Quantum Mechanics, section 2.3; the recurrence is DLMF table 18.9.1
    with the norm of table 18.3.1.
    """
    xi = math.sqrt(omega) * x
    before = np.zeros_like(xi)
    here: NDArray[np.float64] = (omega / math.pi) ** 0.25 * np.exp(-0.5 * xi * xi)
    for j in range(n):
        before, here = here, math.sqrt(2 / (j + 1)) * xi * here - math.sqrt(j / (j + 1)) * before
    return here


@dataclass(frozen=True, slots=True, kw_only=True)
class Coherent(Analytic):
    """A coherent state of the harmonic oscillator, see `coherent`."""

    name: ClassVar[str] = "coherent"
    alpha: tuple[complex, ...]
    omega: tuple[float, ...]

    def read(self, box: Box) -> NDArray[np.complex128]:
        t = self.times(box)[:, None]
        factors = []
        for axis, (alpha, omega) in enumerate(zip(self.alpha, self.omega, strict=True)):
            xi = math.sqrt(omega) * self.along(axis, box)
            turning = alpha * np.exp(-1j * omega * t)
            a, b = turning.real, turning.imag
            exponent = -0.5 * (xi - math.sqrt(2) * a) ** 2 + 1j * b * (math.sqrt(2) * xi - a)
            exponent -= 0.5j * omega * t
            factors.append((omega / math.pi) ** 0.25 * np.exp(exponent, out=exponent))
        return product(factors)


def coherent(*, alpha: Displacement = 1.0, omega: Scale = 1.0, grid: Grid | None = None) -> Coherent:
    """A coherent state of the harmonic oscillator, exact in time: it swings without spreading.

    `alpha`: eigenvalue of the lowering operator at t = 0, one number (along x) or one an
    axis; ⟨x⟩(0) = √(2/ω) Re α and ⟨p⟩(0) = √(2ω) Im α. `omega`: angular frequency (Eh/ħ), one
    number or one an axis. Along each axis, with ξ = √ω x and α_t = α e^{−iωt} = a + ib,

        ψ(x, t) = (ω/π)^{1/4} exp(−(ξ − √2 a)²/2 + ib(√2 ξ − a) − iωt/2).

    Source: Cohen-Tannoudji, Diu and Laloë, Quantum Mechanics, complement G_V.

    Default grid: 64³, centred, wide enough for the whole swing; frames by default over
    one period 2π/ω of the slowest axis.
    Raises InvalidInput for parameters that are not finite, ω ≤ 0, or too many values.
    """
    grid = usable(grid)
    d = grid.dimensions
    alphas = tuple(complex(a) for a in spread("alpha", alpha, d))
    if not all(abs(a.real) <= LARGEST and abs(a.imag) <= LARGEST for a in alphas):
        raise InvalidInput(f"alpha={written(alphas)} must be finite and at most {LARGEST:g} in magnitude")
    omegas = positive("omega", omega, d)
    edges = [2 * (math.sqrt(2) * abs(a) + MARGIN) / math.sqrt(w) for a, w in zip(alphas, omegas, strict=True)]
    grid = with_extents(with_frames(grid, 2 * math.pi / min(omegas)), edges)
    return Coherent(alpha=alphas, omega=omegas, grid=grid)
