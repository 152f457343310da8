"""The ground state with the term g|ψ|² (Gross and Pitaevskii), by conjugate gradients on the sphere ‖ψ‖ = 1.

    E(ψ) = ⟨ψ|H|ψ⟩ + g/2 ∫|ψ|⁴ dV,   μ ψ = (H + g|ψ|²) ψ

The energy along each direction is known in closed form, so each step goes to its minimum, and the
energy never rises. It is what imaginary time does, without a time step, in a hundredth of the steps.
Source: Antoine, Levitt and Tang, J. Comput. Phys. 343, 92 (2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .hamiltonian import Hamiltonian
from .lowest import PATIENCE, SCALES, NotConverged

Real = NDArray[np.float64]

BISECTIONS: Final = 60
"""Halvings of the interval of the chemical potential in the first guess."""

STEP: Final = 1e-4
"""Rad: over which the curvature of the energy along a direction is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condensate:
    """ψ[N] with Σψ² = 1, energy and chemical potential in Hartree, the bound that was kept, and iterations."""

    state: Real
    energy: float
    chemical_potential: float
    residual: float
    bound: float
    iterations: int


def condensate(h: Hamiltonian, strength: float, accuracy: float, guess: Real) -> Condensate:
    """The minimum of the energy with g/dV = `strength` in Hartree, from `guess` [N] on.

    ‖(H + g|ψ|²)ψ − μψ‖ is at most `accuracy` times the largest part of the energy of ψ, or rounding.
    Raises NotConverged if it does not fall any more.
    """
    psi = guess / math.sqrt(_sum(guess, guess))
    applied = np.empty_like(psi)
    h.apply(psi[None], applied[None])
    direction, before, descent = np.zeros_like(psi), 0.0, np.zeros_like(psi)
    best, since, iteration = math.inf, 0, 0
    while True:
        square = psi * psi
        linear, quartic = _sum(psi, applied), _sum(square, square)
        mu = linear + strength * quartic
        residual = applied + strength * square * psi - mu * psi
        size = math.sqrt(_sum(residual, residual))
        kinetic = float(h.kinetic(psi[None], np.array([linear]))[0])
        bound = max(accuracy * max(kinetic, abs(strength) * quartic), h.rounding)
        if size <= bound:
            return Condensate(
                state=psi,
                energy=linear + strength * quartic / 2 + h.floor,
                chemical_potential=mu + h.floor,
                residual=size,
                bound=bound,
                iterations=iteration,
            )
        if size < best / 2:
            best, since = size, iteration
        if iteration - since > PATIENCE:
            raise NotConverged(
                f"the ground state did not converge: ‖(H + g|ψ|² − μ)ψ‖ stays at {best:.2g} Eh, and "
                f"accuracy={accuracy:g} asks for {bound:.2g} Eh: give a larger accuracy="
            )
        scale = SCALES[0] * max(kinetic, abs(strength) * quartic / 4, h.rounding)
        last, descent = descent, residual.copy()
        h.precondition(descent[None], mu, scale, h.v + strength * square)
        descent -= _sum(psi, descent) * psi
        slope = _sum(descent, residual)
        share = max(0.0, (slope - _sum(last, residual)) / before) if before else 0.0
        direction = share * direction - descent
        direction -= _sum(psi, direction) * psi
        if _sum(direction, residual) >= 0:
            direction = -descent
        before = slope
        length = math.sqrt(_sum(direction, direction))
        direction /= length
        forward = np.empty_like(psi)
        h.apply(direction[None], forward[None])
        angle = _minimum(psi, applied, direction, forward, strength)
        cos, sin = math.cos(angle), math.sin(angle)
        # The direction is carried along the circle, so that it stays orthogonal to ψ.
        psi, direction = cos * psi + sin * direction, length * (cos * direction - sin * psi)
        applied = cos * applied + sin * forward
        iteration += 1


def spread_out(h: Hamiltonian, strength: float) -> Real:
    """A first guess [N] for much repulsion: |ψ|² = max(μ − V, 0)/g, as Thomas and Fermi have it, made smooth."""
    low, high = 0.0, float(h.v.max()) + strength
    for _ in range(BISECTIONS):
        mu = (low + high) / 2
        low, high = (low, mu) if np.maximum(mu - h.v, 0.0).sum() > strength else (mu, high)
    psi = np.sqrt(np.maximum(high - h.v, 0.0) / strength)
    h.precondition(psi[None], high, max(high, h.rounding))
    return np.asarray(np.abs(psi) / math.sqrt(_sum(psi, psi)))


def energy_of(h: Hamiltonian, strength: float, psi: Real) -> float:
    """The energy of ψ[N] with Σψ² = 1 above the lowest V, in Hartree."""
    applied = np.empty_like(psi)
    h.apply(psi[None], applied[None])
    return _sum(psi, applied) + strength / 2 * _sum(psi * psi, psi * psi)


def _minimum(psi: Real, applied: Real, direction: Real, forward: Real, strength: float) -> float:
    """The angle at which cos·ψ + sin·direction has the least energy, the nearest one to 0."""
    a, b, c = _sum(psi, applied), _sum(direction, applied), _sum(direction, forward)
    pp, pd, dd = psi * psi, psi * direction, direction * direction
    quartic = [_sum(pp, pp), 4 * _sum(pp, pd), 6 * _sum(pd, pd), 4 * _sum(pd, dd), _sum(dd, dd)]

    def slope(angle: float) -> float:
        cos, sin = math.cos(angle), math.sin(angle)
        fourth = sum(
            q * (k * cos ** (5 - k) * sin ** (k - 1) if k else 0.0)
            - q * ((4 - k) * cos ** (3 - k) * sin ** (k + 1) if k < 4 else 0.0)
            for k, q in enumerate(quartic)
        )
        return (c - a) * math.sin(2 * angle) + 2 * b * math.cos(2 * angle) + strength / 2 * fourth

    # Down the hill from 0, by a step of Newton's method first: the first angle at which the slope has turned.
    curvature = (slope(STEP) - slope(0.0)) / STEP
    low, high = 0.0, min(abs(slope(0.0) / (curvature or 1.0)), math.pi / 4) or STEP
    while slope(high) < 0 and high < math.pi / 2:
        low, high = high, high * 2
    return _root(slope, low, high)


def _root(slope: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that rises through 0 between `low` and `high` does so."""
    from scipy import optimize  # heavy, and optional

    if not slope(low) < 0 < slope(high):
        return high
    return float(optimize.brentq(slope, low, high, xtol=1e-300, rtol=1e-14))


def _sum(left: Real, right: Real) -> float:
    return float(np.einsum("p,p->", left, right))
