"""Momentum, its variance and kinetic energy, by FFT along the lines of the grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..lattice.grid import Grid
from .geometry import check_shape, spacing, spatial_axes

FFT_POINTS: Final = 65_536
"""Points transformed at a time: 1 MiB of complex128, the cache of one core."""

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Momenta:
    """⟨p⟩ (`mean`) and ⟨p²⟩ (`square`) of the normalised state along each axis, [t, d], in ħ/bohr and its square.

    `mass` is that of the particle in electron masses.
    """

    mean: Real
    square: Real
    mass: float = 1.0

    @property
    def variance(self) -> Real:
        """σ² = ⟨p²⟩ − ⟨p⟩², [t, d]."""
        return np.maximum(self.square - self.mean * self.mean, 0.0)

    @property
    def kinetic(self) -> Real:
        """⟨T⟩ = ⟨p²⟩/2m, summed over the axes, in Hartree, [t]."""
        energy: Real = self.square.sum(axis=1) / (2 * self.mass)
        return energy


@checked
def momenta(psi: NDArray[Any], grid: Grid) -> Momenta:
    """Momentum of each frame of ψ[t, x, y, z].

    By Parseval's theorem each component needs FFTs along its own axis only, so memory beside ψ is a
    few megabytes. The grid counts as periodic (see `wave_sums`).
    Raises InvalidInput for an array of another shape, or an axis in a unit that is no length.
    """
    first, second = [], []
    for axis in spatial_axes(grid):
        k, density = wave_sums(psi, grid, axis)
        with np.errstate(invalid="ignore", divide="ignore"):
            density = density / density.sum(axis=1, keepdims=True)  # [t, n] / [t, 1]
        odd = k.copy()
        if len(k) % 2 == 0:
            odd[len(k) // 2] = 0.0  # the shortest wave of the grid stands for both directions
        first.append((density * odd).sum(axis=1))
        second.append((density * (k * k)).sum(axis=1))
    return Momenta(mean=np.stack(first, axis=1), square=np.stack(second, axis=1), mass=grid.mass)


@checked
def momentum(psi: NDArray[Any], grid: Grid) -> Real:
    """⟨p⟩ of each frame, [t, d], in ħ/bohr. See `momenta`."""
    return momenta(psi, grid).mean


@checked
def momentum_variance(psi: NDArray[Any], grid: Grid) -> Real:
    """σ² of the momentum of each frame, [t, d], in (ħ/bohr)². See `momenta`."""
    return momenta(psi, grid).variance


@checked
def kinetic_energy(psi: NDArray[Any], grid: Grid) -> Real:
    """⟨T⟩ = ⟨p²⟩/2m of each frame in Hartree, [t], with the mass of the grid. See `momenta`."""
    return momenta(psi, grid).kinetic


@checked
def wave_sums(psi: NDArray[Any], grid: Grid, axis: int) -> tuple[Real, Real]:
    """Wave numbers k [n] in 1/bohr, and Σ|ψ̃(k)|² along one axis (1, 2, 3 are x, y, z), [t, n].

    Both are in the order of the FFT. The sums are Parseval's, Σ_k Σ|ψ̃|² = Σ|ψ|², and add up over
    boxes of whole lines. k_j = 2πj/L with j = −n/2 … (n−1)/2, because the grid is one period. A state
    whose ends do not join smoothly there (between walls, say) has a step: its tail in k makes ⟨p²⟩
    converge only as 1/n. Source: Press et al., Numerical Recipes, section 12.1; for ψ in a periodic
    box Kosloff, J. Phys. Chem. 92, 2087 (1988).
    """
    check_shape(psi, grid)
    size = psi.shape[axis]
    k = wave_numbers(grid, axis)
    density = np.zeros((len(psi), size))
    for number, frame in enumerate(psi):
        for lines in _blocks(frame, axis - 1):
            waves = np.fft.fft(lines, norm="ortho")
            density[number] += np.einsum("ijk,ijk->k", waves.real, waves.real)
            density[number] += np.einsum("ijk,ijk->k", waves.imag, waves.imag)
    return k, density


def wave_numbers(grid: Grid, axis: int) -> Real:
    """k of an axis in 1/bohr (or 1/step), in the order of the FFT. Raises as `momenta`."""
    return 2 * math.pi * np.fft.fftfreq(grid.shape[axis], spacing(grid, axis)).astype(np.float64, copy=False)


def _blocks(frame: NDArray[Any], axis: int) -> Iterator[NDArray[np.complex128]]:
    """The lines of a frame [x, y, z] along an axis of n points, some at a time, copied to [·, ·, n]."""
    lines = np.moveaxis(frame, axis, -1)  # [y, z, x], [x, z, y] or [x, y, z]
    across = 0 if lines.shape[0] > 1 else 1  # the axis along which blocks are cut
    count = max(1, FFT_POINTS * lines.shape[across] // frame.size)
    for start in range(0, lines.shape[across], count):
        block = lines[start : start + count] if across == 0 else lines[:, start : start + count]
        yield np.ascontiguousarray(block, np.complex128)
