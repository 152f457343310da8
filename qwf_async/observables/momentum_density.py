"""The probability density of momentum, |ψ̃(k)|², of all components or of one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..lattice.grid import Grid
from .geometry import check_shape, spacing
from .momentum import wave_numbers, wave_sums

Real = NDArray[np.float64]


@checked
def momentum_axis(grid: Grid, axis: int) -> Real:
    """The momenta of a grid along an axis (1, 2, 3 are x, y, z) in ħ/bohr, [n], ascending from about −π/step."""
    return np.fft.fftshift(wave_numbers(grid, axis))


@checked
def momentum_density(psi: NDArray[Any], grid: Grid) -> Real:
    """|ψ̃(k)|² of each frame of ψ[t, x, y, z], float64 [t, kx, ky, kz], in (bohr/ħ)^d.

    It is that of the normalised state: Σ|ψ̃|²dk = 1, with dk = 2π/L along each axis of more than one
    point; NaN where ψ is 0 everywhere. The momenta are those of `momentum_axis`. The grid counts as
    one period, of length L. Source: the definition ψ̃(k) = (2π)^(−d/2) ∫ψ exp(−ikx) dx, as in
    Griffiths, Introduction to Quantum Mechanics, section 3.3. Memory: the result, and two
    frames of complex128. Raises as `momenta`.
    """
    check_shape(psi, grid)
    spatial = [axis for axis in (1, 2, 3) if grid.shape[axis] > 1]
    cell = math.prod(momentum_step(grid, axis) for axis in spatial)
    result = np.empty(psi.shape)
    for frame, density in zip(psi, result, strict=True):
        waves = np.fft.fftn(frame.astype(np.complex128, copy=False), axes=[axis - 1 for axis in spatial])
        np.square(waves.real, out=density)
        density += np.square(waves.imag)
        with np.errstate(invalid="ignore", divide="ignore"):
            density /= density.sum() * cell
        density[...] = np.fft.fftshift(density)
    return result


@checked
def momentum_marginal(psi: NDArray[Any], grid: Grid, axis: int) -> Real:
    """The density of one component of the momentum, |ψ̃|² integrated over the others: [t, n] in bohr/ħ.

    It needs FFTs along its own axis only, so memory beside ψ is a few megabytes. Normalised, and at
    the momenta of `momentum_axis`, as `momentum_density`. Raises as `momenta`.
    """
    sums = np.fft.fftshift(wave_sums(psi, grid, axis)[1], axes=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Real = sums / (sums.sum(axis=1, keepdims=True) * momentum_step(grid, axis))  # [t, n] / [t, 1]
    return result


def momentum_step(grid: Grid, axis: int) -> float:
    """The distance of the momenta along an axis, 2π/L, in ħ/bohr."""
    return 2 * math.pi / (grid.shape[axis] * spacing(grid, axis))
