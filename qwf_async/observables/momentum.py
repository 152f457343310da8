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
from .geometry import held, spacing, spatial_axes

FFT_POINTS: Final = 65_536
"""Points transformed at a time: 1 MiB, the cache of one core."""

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Momenta:
    """⟨p⟩ and ⟨p²⟩ along each axis of each frame, [t, d], in ħ/bohr and its square; of the state normalised."""

    mean: Real
    square: Real

    @property
    def variance(self) -> Real:
        """σ² = ⟨p²⟩ − ⟨p⟩², [t, d]."""
        return np.maximum(self.square - self.mean * self.mean, 0.0)

    @property
    def kinetic(self) -> Real:
        """⟨T⟩ = ⟨p²⟩/2, summed over the axes, in Hartree, [t]."""
        energy: Real = self.square.sum(axis=1) / 2
        return energy


@checked
def momenta(psi: NDArray[Any], grid: Grid) -> Momenta:
    """Momentum of each frame of ψ[t, x, y, z].

    By Parseval's theorem each component needs no more than FFTs along its own axis, so
    memory beside ψ is a few megabytes. The grid is taken as periodic (see `spectrum`).
    Raises InvalidInput for an array of another shape, or an axis in a unit that is no length.
    """
    first, second = [], []
    for axis in spatial_axes(grid):
        k, density = spectrum(psi, grid, axis)
        with np.errstate(invalid="ignore", divide="ignore"):
            density = density / density.sum(axis=1, keepdims=True)
        odd = k.copy()
        if len(k) % 2 == 0:
            odd[len(k) // 2] = 0.0  # the shortest wave of the grid runs either way
        first.append((density * odd).sum(axis=1))
        second.append((density * (k * k)).sum(axis=1))
    return Momenta(mean=np.stack(first, axis=1), square=np.stack(second, axis=1))


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
    """⟨T⟩ = ⟨p²⟩/2m of each frame in Hartree, [t], with m = m_e = 1. See `momenta`."""
    return momenta(psi, grid).kinetic


@checked
def spectrum(psi: NDArray[Any], grid: Grid, axis: int) -> tuple[Real, Real]:
    """Wave numbers k [n] in 1/bohr, and Σ|ψ̃(k)|² along one axis (1, 2, 3 are x, y, z), [t, n].

    Both in the order of the FFT; the sums are Parseval's, Σ_k Σ|ψ̃|² = Σ|ψ|², and they add
    up over boxes of whole lines. k_j = 2πj/L with j = −n/2 … (n−1)/2: the grid is one period,
    so a state that does not end at its edges as it begins (between walls, say) has a tail
    in k that is the step's, and ⟨p²⟩ converges as 1/n only. Source: Press et al., Numerical
    Recipes, section 12.1; for ψ in a periodic box Kosloff, J. Phys. Chem. 92, 2087 (1988).
    """
    held(psi, grid, None)
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
    """The lines of a frame along an axis, some at a time, copied to [·, ·, n]."""
    lines = np.moveaxis(frame, axis, -1)
    across = 0 if lines.shape[0] > 1 else 1
    count = max(1, FFT_POINTS * lines.shape[across] // frame.size)
    for start in range(0, lines.shape[across], count):
        some = lines[start : start + count] if across == 0 else lines[:, start : start + count]
        yield np.ascontiguousarray(some, np.complex128)
