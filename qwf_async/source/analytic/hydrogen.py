"""Bound states of a hydrogen-like atom."""

# ruff: noqa: E741 # l is the usual name of this quantum number

from __future__ import annotations

import functools
import math
import operator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ...checked import checked
from ...errors import InvalidInput
from ...lattice.grid import Box, Grid
from ..parameters import Mass, positive
from .fit import cumulated
from .formula import Analytic, usable, with_extents, with_frames

MAX_HYDROGEN_N: Final = 60
"""The highest n for which the recurrences and the default grid were checked."""

WEIGHT_POINTS: Final = 20_000
"""Points of the tables of weights in space and momentum: 60 or more a wave of n = 60, 160 KB an array."""

MAX_RHO: Final = 1500.0
"""Distance ρ in units of n/2Z at which e^{−ρ/2} is 0 in float64; beyond it polynomials could overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hydrogen(Analytic):
    """A bound state n, l, m of a hydrogen-like atom, see `hydrogen`."""

    name: ClassVar[str] = "hydrogen"
    n: int
    l: int
    m: int
    Z: float

    def read(self, box: Box) -> NDArray[np.complex128]:
        n, l, m = self.n, self.l, abs(self.m)
        scale = 2 * self._pull / n
        x, y, z = (np.clip(scale * self.along(axis, box), -MAX_RHO, MAX_RHO) for axis in range(3))
        x, y = x[:, None, None], y[:, None]  # [x, 1, 1], [y, 1] and z [z] broadcast to [x, y, z]
        square = x * x + y * y + z * z
        rho = np.sqrt(square)
        radial = _radial(n, l, rho, np.exp(-0.5 * rho))
        radial *= math.sqrt(scale**3 * math.factorial(n - l - 1) / math.factorial(n + l) / (2 * n))
        real = _polar(l, m, z, square, radial)
        around = (x + 1j * math.copysign(1, self.m) * y) ** m
        if self.m > 0 and m % 2:
            around = -around
        energy = -0.5 * self.grid.mass * (self.Z / n) ** 2
        phases = np.exp(-1j * energy * self.times(box))  # [t]; real and around are [x, y, z] and [x, y, 1]
        psi: NDArray[np.complex128] = real * (phases[:, None, None, None] * around)
        return psi

    @property
    def _pull(self) -> float:
        """Zμ: the inverse of the Bohr radius of the atom."""
        return self.Z * self.grid.mass

    def outside(self, axis: int, low: float, high: float) -> float:
        """A bound: the weight outside the sphere that touches the nearer of the two ends."""
        radius = max(0.0, min(-low, high))
        u, weight = _radii(self.n, self.l)
        return 1.0 - float(np.interp(math.sqrt(radius * self._pull), u, weight))

    def beyond(self, axis: int, k: float) -> float:
        """A bound: the weight of the momentum outside a sphere."""
        chi, weight = _momenta(self.n, self.l)
        return float(np.interp(2 * math.atan2(1, k * self.n / self._pull), chi, weight))


@functools.lru_cache(maxsize=8)
def _radii(n: int, l: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A table for Z = 1: √r, in which the waves are about equally long, and the weight within each radius."""
    u = np.linspace(0, math.sqrt(4 * _half_edge(n, l)), WEIGHT_POINTS)
    rho = 2 * u * u / n
    # ρ^l alone may overflow float64, and ρ is 0 at the nucleus.
    amplitude = _radial(n, l, rho, np.exp(l * np.log(np.maximum(rho, 1e-300)) - 0.5 * rho))
    return u, cumulated(amplitude**2 * u**5)


@functools.lru_cache(maxsize=8)
def _momenta(n: int, l: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A table of angles χ, where p = Z/n cot(χ/2) falls, and the weight of the momenta beyond each.

    Its density is sin^{2l+2}χ (1 − cos χ) C(cos χ)², C being the Gegenbauer polynomial of degree
    n−l−1 and index l+1. Source: Podolsky and Pauling, Phys. Rev. 34, 109 (1929), in the angle of
    Fock, Z. Phys. 98, 145 (1935); the recurrence is DLMF 18.9.1 with table 18.9.1.
    """
    chi = np.linspace(0, math.pi, WEIGHT_POINTS)
    x, index, degree = np.cos(chi), l + 1, n - l - 1
    before, here = np.zeros_like(x), np.sin(chi) ** index
    for j in range(degree):
        before, here = here, (2 * (j + index) * x * here - (j + 2 * index - 1) * before) / (j + 1)
    return chi, cumulated(here**2 * (1 - x))


def _radial(n: int, l: int, rho: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """`start` times L_{n−l−1}^{(2l+1)}(ρ), by the recurrence in the degree (DLMF 18.9.1 and table 18.9.1).

    The recurrence starts from the exponential e^{−ρ/2}, so that far away every term is 0 and not 0·∞.
    """
    alpha = 2 * l + 1
    here = start
    before = np.zeros(())
    for j in range(n - l - 1):
        step = (2 * j + 1 + alpha) - rho
        step *= here
        step -= (j + alpha) * before
        step /= j + 1
        before, here = here, step
    return here


def _polar(
    l: int,
    m: int,
    z: NDArray[np.float64],
    square: NDArray[np.float64],
    start: NDArray[np.float64],
) -> NDArray[np.float64]:
    """`start` times ρ^l Y_lm / (−x − iy)^m for m ≥ 0, a polynomial in z and ρ², `square` being ρ².

    By the recurrence of the normalised Legendre functions in l (Press et al., Numerical
    Recipes, section 6.7), made homogeneous with ρ². Nothing is divided by ρ, so the nucleus may
    be a point of the grid.
    """
    factor = math.prod((2 * j + 1) / (2 * j) for j in range(1, m + 1)) / (4 * math.pi)
    here = math.sqrt(factor) * start
    before: NDArray[np.float64] | None = None
    lower = 0.0
    for j in range(m + 1, l + 1):
        upper = math.sqrt((4 * j * j - 1) / (j * j - m * m))
        step = (upper * z) * here
        if before is not None:
            before *= square
            before *= upper / lower
            step -= before
        before, here, lower = here, step, upper
    return here


def _half_edge(n: int, l: int) -> float:
    """Half the edge (bohr, Z = 1) of a cube that leaves out less than 1e-6 of the norm; see `hydrogen`."""
    return n * n + n * math.sqrt(n * n - l * (l + 1)) + n * (6 + 2.2 * math.sqrt(n))


@checked
def hydrogen(
    n: int = 1,
    l: int = 0,
    m: int = 0,
    *,
    Z: float = 1.0,  # noqa: N803 # the field's name of the nuclear charge
    mass: Mass = None,
    grid: Grid | None = None,
) -> Hydrogen:
    """The bound state ψ_nlm of one electron around a nucleus of charge Z at the origin.

    `n` ≥ 1, 0 ≤ `l` < n, |`m`| ≤ l; Y_lm complex, with the Condon–Shortley phase. Energy
    −μZ²/2n² Hartree, which turns the phase in time. With ρ = 2Zμr/n

        ψ = √((2Zμ/n)³ (n−l−1)! / 2n(n+l)!) e^{−ρ/2} ρ^l L_{n−l−1}^{(2l+1)}(ρ) Y_lm(θ, φ) e^{−iEt}.

    Source: Griffiths, Introduction to Quantum Mechanics, section 4.2; Y_lm as in DLMF
    14.30.1. `mass` μ is the reduced mass in electron masses: 1 for a nucleus of infinite mass, 1/2 for
    positronium, 186 for a muon around a proton.

    Default grid: 64³ points in a centred cube that leaves out less than 1e-6 of the norm. Its
    half edge is the outer turning point n² + n√(n² − l(l+1)) plus n(6 + 2.2√n), divided by Zμ; the
    second term was found by integrating all states. A state l = 0 has a cusp at the nucleus: its
    Σ|ψ|²dV on this grid is 1.002 for n = 1 but 1.05 for n = 4, which needs a finer grid.
    The frames are by default spread over one period 4πn²/μZ² of the phase.
    Raises InvalidInput for impossible or too high quantum numbers (n > 60), Z ≤ 0, or a grid
    without three dimensions.
    """
    n, l, m = operator.index(n), operator.index(l), operator.index(m)
    if not 1 <= n <= MAX_HYDROGEN_N:
        raise InvalidInput(f"n={n} must be from 1 to {MAX_HYDROGEN_N}")
    if not 0 <= l < n:
        raise InvalidInput(f"l={l} must be from 0 to n-1, which is {n - 1}")
    if abs(m) > l:
        raise InvalidInput(f"m={m} must be from -l to l, which is {-l} to {l}")
    (charge,) = positive("Z", Z, 1)
    grid = usable(grid, mass)
    if grid.dimensions != 3:
        raise InvalidInput("hydrogen has three dimensions: give a grid such as 64x64x64")
    half = _half_edge(n, l) / (charge * grid.mass)
    grid = with_extents(with_frames(grid, 4 * math.pi * (n / charge) ** 2 / grid.mass), [2 * half] * 3)
    return Hydrogen(n=n, l=l, m=m, Z=charge, grid=grid)
