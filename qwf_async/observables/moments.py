"""Norm, mean position and its variance: sums over points, which can be added up chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..lattice.grid import Box, Grid
from .geometry import coordinates, held, spacing, spatial_axes, volume

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over some points of each frame; `+` joins the sums over other points of the same frames.

    `weight` is Σ|ψ|², [t]; `first` Σ(x − c)|ψ|² and `second` Σ(x − c)²|ψ|², [t, d] in bohr and
    bohr², with c, `centre`, the middle of the grid: about it the variance loses no digits
    where the origin is far away. `cell` is dV. Means are of the state normalised,
    ⟨A⟩ = ⟨ψ|A|ψ⟩ / ⟨ψ|ψ⟩; they are NaN where ψ is 0 everywhere.
    """

    weight: Real
    first: Real
    second: Real
    centre: tuple[float, ...]
    cell: float

    def __add__(self, other: Moments) -> Moments:
        return replace(
            self,
            weight=self.weight + other.weight,
            first=self.first + other.first,
            second=self.second + other.second,
        )

    @property
    def norm(self) -> Real:
        """Σ|ψ|²dV, [t]."""
        norm: Real = self.weight * self.cell
        return norm

    @property
    def mean(self) -> Real:
        """⟨x⟩, ⟨y⟩, ⟨z⟩ in bohr, [t, d]."""
        mean: Real = _over(self.first, self.weight) + np.array(self.centre)
        return mean

    @property
    def variance(self) -> Real:
        """σ² = ⟨x²⟩ − ⟨x⟩² along each axis in bohr², [t, d]."""
        shift = _over(self.first, self.weight)
        return np.maximum(_over(self.second, self.weight) - shift * shift, 0.0)


@checked
def moments(psi: NDArray[Any], grid: Grid, box: Box | None = None) -> Moments:
    """The sums over ψ[t, x, y, z], all points of some frames, or those of `box`.

    On a periodic axis x is taken from the grid's first point to its last: a packet that lies
    across the edge has no meaningful mean. Source: the definitions, as in Griffiths,
    Introduction to Quantum Mechanics, section 1.5, the integral as Σ·dV (the trapezoidal
    rule of a periodic function). Memory beside ψ: |ψ|² summed to lines.
    Raises InvalidInput for an array of another shape, or an axis in a unit that is no length.
    """
    box = held(psi, grid, box)
    first, second, centres = [], [], []
    weight = np.zeros(len(psi))
    for axis in spatial_axes(grid):
        lines = _summed_to(psi, axis)
        ends = coordinates(grid, axis, 0, grid.shape[axis])
        centres.append(float(ends[0] + ends[-1]) / 2)
        x = coordinates(grid, axis, box.start[axis], box.stop[axis]) - centres[-1]
        first.append((lines * x).sum(axis=1))
        second.append((lines * (x * x)).sum(axis=1))
        weight = lines.sum(axis=1)
    return Moments(
        weight=weight,
        first=np.stack(first, axis=1),
        second=np.stack(second, axis=1),
        centre=tuple(centres),
        cell=volume(grid),
    )


@checked
def norm(psi: NDArray[Any], grid: Grid) -> Real:
    """Σ|ψ|²dV of each frame of ψ[t, x, y, z], [t]; 1 for a normalised state. Raises as `moments`."""
    return moments(psi, grid).norm


@checked
def position(psi: NDArray[Any], grid: Grid) -> Real:
    """⟨x⟩, ⟨y⟩, ⟨z⟩ of each frame in bohr, [t, d]. See `moments`."""
    return moments(psi, grid).mean


@checked
def position_variance(psi: NDArray[Any], grid: Grid) -> Real:
    """σ² of x, y, z of each frame in bohr², [t, d]. See `moments`."""
    return moments(psi, grid).variance


@checked
def marginal(psi: NDArray[Any], grid: Grid, axis: int, box: Box | None = None) -> Real:
    """Probability density along one axis (1, 2, 3 are x, y, z), the others integrated out: [t, n] in 1/bohr.

    Over a `box` it is what those points contribute, [t, points of the box along the axis].
    Source: Born's rule, ρ(x) = ∫|ψ|² dy dz. Raises as `moments`.
    """
    held(psi, grid, box)
    return _summed_to(psi, axis) * (volume(grid) / (spacing(grid, axis) if grid.shape[axis] > 1 else 1.0))


def _summed_to(psi: NDArray[Any], axis: int) -> Real:
    """Σ|ψ|² over the other spatial axes, [t, n], in double precision.

    By einsum, not by a product of matrices: the threads of a BLAS go on spinning after each
    call, and take the event loop its core. Frame by frame: complex64 is widened on the way.
    """
    kept = "xyz"[axis - 1]
    result = np.empty((len(psi), psi.shape[axis]))
    for frame, lines in zip(psi, result, strict=True):
        np.einsum(f"xyz,xyz->{kept}", frame.real, frame.real, out=lines, dtype=np.float64)
        lines += np.einsum(f"xyz,xyz->{kept}", frame.imag, frame.imag, dtype=np.float64)
    return result


def _over(sums: Real, weight: Real) -> Real:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Real = sums / weight[:, None]
    return ratio
