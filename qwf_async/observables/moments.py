"""Norm, mean position and its variance, from sums over points that add up chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..lattice.grid import Box, Grid
from .geometry import check_shape, coordinates, spacing, spatial_axes, volume

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over some points of each frame; `+` adds the sums over other points of the same frames.

    `weight` is Σ|ψ|², [t]. `first` is Σ(x − c)|ψ|² and `second` Σ(x − c)²|ψ|², [t, d] in bohr and
    bohr². Here c is `centre`, the middle of the grid, so that the variance loses no digits where the
    origin is far away. `cell` is dV. Means are of the normalised state, ⟨A⟩ = ⟨ψ|A|ψ⟩ / ⟨ψ|ψ⟩; they
    are NaN where ψ is 0 everywhere.
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
    """The sums over ψ[t, x, y, z]: over all points of some frames, or over those of `box`.

    On a periodic axis x runs from the grid's first point to its last: a packet across the edge has no
    meaningful mean. Source: the definitions, as in Griffiths, Introduction to Quantum Mechanics,
    section 1.5, with the integral as Σ·dV (the trapezoidal rule of a periodic function).
    Memory beside ψ: |ψ|² summed to lines.
    Raises InvalidInput for an array of another shape, or an axis in a unit that is no length.
    """
    box = check_shape(psi, grid, box)
    first, second, centres = [], [], []
    weight = np.zeros(len(psi))
    for axis in spatial_axes(grid):
        lines = _summed_to(psi, axis)  # [t, n], times x [n]
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
    """Probability density along one axis (1, 2, 3 are x, y, z), integrated over the others: [t, n] in 1/bohr.

    With `box` it is the contribution of its points, [t, points of the box along the axis].
    Source: Born's rule, ρ(x) = ∫|ψ|² dy dz. Raises as `moments`.
    """
    check_shape(psi, grid, box)
    return _summed_to(psi, axis) * (volume(grid) / (spacing(grid, axis) if grid.shape[axis] > 1 else 1.0))


def _summed_to(psi: NDArray[Any], axis: int) -> Real:
    """Σ|ψ|² over the other spatial axes, [t, n], in double precision.

    It uses einsum, not a product of matrices: the threads of a BLAS keep spinning after each call,
    and take the core of the event loop. It goes frame by frame because complex64 is widened on the way.
    """
    kept = "xyz"[axis - 1]
    result = np.empty((len(psi), psi.shape[axis]))
    for frame, lines in zip(psi, result, strict=True):
        np.einsum(f"xyz,xyz->{kept}", frame.real, frame.real, out=lines, dtype=np.float64)
        lines += np.einsum(f"xyz,xyz->{kept}", frame.imag, frame.imag, dtype=np.float64)
    return result


def _over(sums: Real, weight: Real) -> Real:
    """Sums [t, d] divided by the weight [t] of their frame; NaN where it is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Real = sums / weight[:, None]
    return ratio
