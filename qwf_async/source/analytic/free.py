"""States of a free particle: a Gaussian packet and a plane wave."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ...checked import checked
from ...errors import InvalidInput
from ...lattice.grid import Box, Grid
from ..parameters import Lengths, Mass, Periods, Position, WaveVector, positive, reals, wholes
from .fit import fitting_edge, normal_tail
from .formula import Analytic, extents, product, usable, with_extents, with_frames

PLANE_EXTENT: Final = 10.0
"""Edge in bohr of the periodic box of a plane wave, if none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian(Analytic):
    """A free Gaussian packet, see `gaussian`."""

    name: ClassVar[str] = "gaussian"
    k: tuple[float, ...]
    sigma: tuple[float, ...]
    x0: tuple[float, ...]

    def read(self, box: Box) -> NDArray[np.complex128]:
        t = self.times(box)[:, None]  # [t, 1], so that a factor is [t, n] with n points along its axis
        factors = []
        for axis, (k, sigma, x0) in enumerate(zip(self.k, self.sigma, self.x0, strict=True)):
            x, v = self.along(axis, box) - x0, k / self.grid.mass
            s = 1 + 0.5j * t / (self.grid.mass * sigma**2)
            exponent = (x - v * t) ** 2 * (-0.25 / sigma**2 / s)
            exponent += 1j * k * (x - 0.5 * v * t)
            height = (2 * math.pi) ** -0.25 / math.sqrt(sigma) / np.sqrt(s)
            factors.append(np.exp(exponent, out=exponent) * height)
        return product(factors)

    def outside(self, axis: int, low: float, high: float) -> float:
        v, sigma, x0 = self.k[axis] / self.grid.mass, self.sigma[axis], self.x0[axis]
        t = self.ends  # it moves and widens steadily, so it reaches farthest at the first or the last frame
        return normal_tail(x0 + v * t, sigma * np.hypot(1, t / (2 * self.grid.mass * sigma**2)), low, high)

    def beyond(self, axis: int, k: float) -> float:
        return normal_tail(self.k[axis], 0.5 / self.sigma[axis], -k, k)


@checked
def gaussian(
    *,
    k: WaveVector = 0.0,
    sigma: Lengths = 1.0,
    x0: Position = 0.0,
    mass: Mass = None,
    grid: Grid | None = None,
) -> Gaussian:
    """A free Gaussian packet in 1 to 3 dimensions, exact in time, spreading included.

    `k`: mean wave number (1/bohr), `sigma`: standard deviation of |ψ|² at t = 0 (bohr),
    `x0`: mean position at t = 0 (bohr), each one number or one an axis; one number for k
    or x0 is the component along x. `mass`: of the particle m (electron masses). Along each axis

        ψ(x, t) = (2πσ²)^(−1/4) s^(−1/2) exp(−(x − x0 − kt/m)² / 4σ²s + ik(x − x0) − ik²t/2m),
        s = 1 + it/2mσ²,

    so ⟨x⟩ = x0 + kt/m and the width grows as σ√(1 + (t/2mσ²)²). Source: Cohen-Tannoudji, Diu
    and Laloë, Quantum Mechanics, complement G_I. The packet is not periodic: what leaves
    the box is gone.

    Default grid: 64³ points in a box with room for six widths around the packet at every frame,
    or for fewer widths where there are too few points for its momentum (`fitting_edge`). The frames
    are by default spread over 2mσ² ħ/Eh, in which the narrowest axis spreads by √2.
    Raises InvalidInput for parameters that are not finite, σ ≤ 0, or too many values.
    """
    grid = usable(grid, mass)
    d = grid.dimensions
    ks, sigmas, starts = reals("k", k, d), positive("sigma", sigma, d), reals("x0", x0, d)
    grid = with_frames(grid, 2 * grid.mass * min(sigmas) ** 2)
    end = (grid.shape[0] - 1) * (grid.axes[0].step or 0.0)
    edges = [
        fitting_edge(
            size,
            reach=abs(start) + abs(q) / grid.mass * end,
            width=s * math.hypot(1, end / (2 * grid.mass * s**2)),
            momentum=abs(q),
            spread=0.5 / s,
        )
        for size, start, q, s in zip(grid.shape[1:], starts, ks, sigmas, strict=False)
    ]
    return Gaussian(k=ks, sigma=sigmas, x0=starts, grid=with_extents(grid, edges))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane(Analytic):
    """A plane wave, see `plane`."""

    name: ClassVar[str] = "plane"
    k: tuple[int, ...]

    def read(self, box: Box) -> NDArray[np.complex128]:
        edges = extents(self.grid)
        qs = [2 * math.pi * k / edge for k, edge in zip(self.k, edges, strict=True)]
        energy = sum(q * q for q in qs) / (2 * self.grid.mass)
        phase = np.exp(-1j * energy * self.times(box)) / math.sqrt(math.prod(edges))
        # phase is [t], a wave along an axis [1, n]: the first factor is [t, n], as `product` needs it.
        first, *rest = [np.exp(1j * q * self.along(axis, box))[None, :] for axis, q in enumerate(qs)]
        return product([phase[:, None] * first, *rest])


@checked
def plane(*, k: Periods = 1, mass: Mass = None, grid: Grid | None = None) -> Plane:
    """A plane wave e^{i(q·x − Et)} / √V in a periodic box of volume V, E = q²/2m.

    `k`: the number of whole periods along each axis, q = 2πk/L, so that the wave fits the box; one
    number is along x. `mass` m is in electron masses. Source: Griffiths, Introduction to Quantum
    Mechanics, section 2.4, normalised in the box.

    Default grid: 64³ points in a box of 10 bohr. The frames are by default spread over one period 2π/E.
    Raises InvalidInput for more values than dimensions, and for a wave of fewer than two points a
    period: on the grid that is a wave of another length.
    """
    grid = with_extents(usable(grid, mass), [PLANE_EXTENT] * 3)
    periods = wholes("k", k, grid.dimensions)
    for n, size in zip(periods, grid.shape[1:], strict=False):
        if 2 * abs(n) > size:
            raise InvalidInput(f"k={n} needs {2 * abs(n)} points or more along its axis, which has {size}")
    squares = ((2 * math.pi * n / edge) ** 2 for n, edge in zip(periods, extents(grid), strict=True))
    energy = sum(squares) / (2 * grid.mass)
    return Plane(k=periods, grid=with_frames(grid, 2 * math.pi / energy if energy else 1.0))
