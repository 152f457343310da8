"""States of the harmonic oscillator: superpositions of eigenstates, and the coherent state."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ...checked import checked
from ...errors import InvalidInput
from ...lattice.grid import Box, Grid
from ..parameters import MAX_MAGNITUDE, Displacement, Frequencies, Mass, number_text, positive, spread
from .fit import WIDTHS, cumulated, fitting_edge, normal_tail
from .formula import Analytic, product, usable, with_extents, with_frames
from .levels import OscillatorLevels, Superposition

MAX_OSCILLATOR_N: Final = 500
"""The highest quantum number: beyond it e^{−ξ²/2} inside the classical region is below the smallest float64."""

MAX_CHECKED_FRAMES: Final = 1000
"""Frames, at most, at which it is checked whether the grid holds a coherent state."""


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
            return eigenfunction(n, self.grid.mass * self.omega[axis], self.along(axis, box))

        return self.n.at(self.times(box), energy, wave)

    def outside(self, axis: int, low: float, high: float) -> float:
        scale = math.sqrt(self.grid.mass * self.omega[axis])
        return self.n.bound(axis, lambda n: _weight_outside(n, low * scale, high * scale))

    def beyond(self, axis: int, k: float) -> float:
        # In momentum space an oscillator has the same form, with 1/mω in place of mω.
        scaled = k / math.sqrt(self.grid.mass * self.omega[axis])
        return self.n.bound(axis, lambda n: _weight_outside(n, -scaled, scaled))


@checked
def harmonic(
    n: OscillatorLevels = 0, *, omega: Frequencies = 1.0, mass: Mass = None, grid: Grid | None = None
) -> Harmonic:
    """Eigenstates of the harmonic oscillator and their superpositions, exact in time.

    `n`: the quantum number from 0 (one an axis in more dimensions, 0 where none is
    given), or a coefficient for each eigenstate of a superposition, as in
    `harmonic({0: 1, 1: 1})`; they are normalised. `omega`: angular frequency (Eh/ħ), one
    number or one an axis. `mass`: of the particle m (electron masses). Energies (n + 1/2)ω along
    each axis; for the eigenfunctions see `eigenfunction`, with mω for ω.

    Default grid: 64³ points in a centred box, six lengths 1/√mω beyond the classical turning points,
    or fewer where there are too few points for its momentum. The frames are by default spread over
    one period 2π/ω of the slowest axis.
    Raises InvalidInput for n below 0 or above 500, ω ≤ 0, too many values, or
    coefficients that are all 0.
    """
    grid = usable(grid, mass)
    d = grid.dimensions
    levels = Superposition.of(n, lowest=0, limits=[MAX_OSCILLATOR_N] * d)
    omegas = positive("omega", omega, d)
    edges = [
        _edge(size, math.sqrt(2 * levels.highest(axis) + 1), grid.mass * w)
        for axis, (size, w) in enumerate(zip(grid.shape[1:], omegas, strict=False))
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


def _edge(points: int, turning: float, omega: float) -> float:
    """Extent for a state with its turning point at `turning` lengths 1/√ω, in position and in momentum."""
    scale = math.sqrt(omega)
    return fitting_edge(
        points, reach=turning / scale, width=1 / scale, momentum=turning * scale, spread=scale
    )


@functools.lru_cache(maxsize=32)
def _cumulative(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A table of positions ξ, and the weight of φ_n² up to each."""
    far = math.sqrt(2 * n + 1) + WIDTHS
    xi = np.linspace(-far, far, 40 * (n + 30))  # 20 points or more a period of φ_n²
    return xi, cumulated(eigenfunction(n, 1.0, xi) ** 2)


def _weight_outside(n: int, low: float, high: float) -> float:
    """Weight of φ_n² outside an interval of ξ."""
    xi, weight = _cumulative(n)
    below, up_to = np.interp((low, high), xi, weight)
    return float(below + (1 - up_to))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coherent(Analytic):
    """A coherent state of the harmonic oscillator, see `coherent`."""

    name: ClassVar[str] = "coherent"
    alpha: tuple[complex, ...]
    omega: tuple[float, ...]

    def read(self, box: Box) -> NDArray[np.complex128]:
        t = self.times(box)[:, None]  # [t, 1], so that a factor is [t, n] with n points along its axis
        factors = []
        for axis, (alpha, omega) in enumerate(zip(self.alpha, self.omega, strict=True)):
            stiffness = self.grid.mass * omega
            xi = math.sqrt(stiffness) * self.along(axis, box)
            turning = alpha * np.exp(-1j * omega * t)
            a, b = turning.real, turning.imag
            exponent = -0.5 * (xi - math.sqrt(2) * a) ** 2 + 1j * b * (math.sqrt(2) * xi - a)
            exponent -= 0.5j * omega * t
            factors.append((stiffness / math.pi) ** 0.25 * np.exp(exponent, out=exponent))
        return product(factors)

    def outside(self, axis: int, low: float, high: float) -> float:
        stiffness = self.grid.mass * self.omega[axis]
        centres = math.sqrt(2 / stiffness) * self._turned(axis).real
        return normal_tail(centres, math.sqrt(0.5 / stiffness), low, high)

    def beyond(self, axis: int, k: float) -> float:
        stiffness = self.grid.mass * self.omega[axis]
        momenta = math.sqrt(2 * stiffness) * self._turned(axis).imag
        return normal_tail(momenta, math.sqrt(0.5 * stiffness), -k, k)

    def _turned(self, axis: int) -> NDArray[np.complex128]:
        """α at the frames, or at MAX_CHECKED_FRAMES times: it goes round a circle, of which more show nothing new."""
        first, last = self.ends
        t = np.linspace(first, last, min(self.grid.shape[0], MAX_CHECKED_FRAMES))
        turned: NDArray[np.complex128] = self.alpha[axis] * np.exp(-1j * self.omega[axis] * t)
        return turned


@checked
def coherent(
    *, alpha: Displacement = 1.0, omega: Frequencies = 1.0, mass: Mass = None, grid: Grid | None = None
) -> Coherent:
    """A coherent state of the harmonic oscillator, exact in time: it swings without spreading.

    `alpha`: eigenvalue of the lowering operator at t = 0, one number (along x) or one an
    axis; ⟨x⟩(0) = √(2/mω) Re α and ⟨p⟩(0) = √(2mω) Im α. `omega`: angular frequency (Eh/ħ), one
    number or one an axis. `mass`: of the particle m (electron masses). Along each axis, with
    ξ = √(mω) x and α_t = α e^{−iωt} = a + ib,

        ψ(x, t) = (mω/π)^{1/4} exp(−(ξ − √2 a)²/2 + ib(√2 ξ − a) − iωt/2).

    Source: Cohen-Tannoudji, Diu and Laloë, Quantum Mechanics, complement G_V.

    Default grid: 64³ points in a centred box, wide enough for the whole swing, or less where there
    are too few points for its momentum. The frames are by default spread over one period 2π/ω of
    the slowest axis.
    Raises InvalidInput for parameters that are not finite, ω ≤ 0, or too many values.
    """
    grid = usable(grid, mass)
    d = grid.dimensions
    alphas = tuple(complex(a) for a in spread("alpha", alpha, d))
    if not all(abs(a.real) <= MAX_MAGNITUDE and abs(a.imag) <= MAX_MAGNITUDE for a in alphas):
        raise InvalidInput(
            f"alpha={number_text(alphas)} must be finite and at most {MAX_MAGNITUDE:g} in magnitude"
        )
    omegas = positive("omega", omega, d)
    edges = [
        _edge(size, math.sqrt(2) * abs(a), grid.mass * w)
        for size, a, w in zip(grid.shape[1:], alphas, omegas, strict=False)
    ]
    grid = with_extents(with_frames(grid, 2 * math.pi / min(omegas)), edges)
    return Coherent(alpha=alphas, omega=omegas, grid=grid)
