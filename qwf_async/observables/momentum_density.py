"""The probability density of momentum, |ψ̃(k)|², of all components or of some."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import Grid
from .density import density
from .geometry import check_shape, spacing
from .momentum import wave_numbers, wave_sums

Real = NDArray[np.float64]


@checked
def momentum_axis(grid: Grid, axis: int) -> Real:
    """The momenta of a grid along an axis (1, 2, 3 are x, y, z) in ħ/bohr, [n], ascending from about −π/step."""
    return np.fft.fftshift(wave_numbers(grid, axis))


@checked
def momentum_density(psi: NDArray[Any], grid: Grid, axes: Sequence[int] | None = None) -> Real:
    """|ψ̃(k)|² of each frame of ψ[t, x, y, z], float64 [t, …] with the momenta along `axes`, in (bohr/ħ)^d.

    `axes` are ascending and of 1, 2, 3 for x, y, z: over the components along the others it is
    integrated. None means all three. It is of the normalised state, Σ|ψ̃|²dk = 1 with dk = 2π/L along
    each axis of more than one point; NaN where ψ is 0 everywhere. The momenta are those of
    `momentum_axis`. The grid counts as one period, of length L. Source: the definition ψ̃(k) =
    (2π)^(−d/2) ∫ψ exp(−ikx) dx, as in Griffiths, Introduction to Quantum Mechanics, section 3.3.
    Memory: the result and a few megabytes along one axis, else two frames of complex128.
    Raises InvalidInput for axes that are not of these, and as `momenta`.
    """
    check_shape(psi, grid)
    along = (1, 2, 3) if axes is None else tuple(axes)
    if not along or any(axis not in (1, 2, 3) for axis in along) or list(along) != sorted(set(along)):
        raise InvalidInput(f"axes={axes!r} must be ascending, of 1, 2, 3 for x, y, z")
    if len(along) == 1:
        sums = wave_sums(psi, grid, along[0])[1]
    else:
        sums = np.stack([_wave_squares(frame, along) for frame in psi])
    cell = math.prod(momentum_step(grid, axis) for axis in along if grid.shape[axis] > 1)
    over = tuple(range(1, 1 + len(along)))
    with np.errstate(invalid="ignore", divide="ignore"):
        sums /= sums.sum(axis=over, keepdims=True) * cell  # [t, …] / [t, 1, …]
    return np.fft.fftshift(sums, axes=over)


def _wave_squares(frame: NDArray[Any], along: Sequence[int]) -> Real:
    """Σ|ψ̃|² of a frame [x, y, z] over the axes not in `along`, in the order of the FFT along those."""
    waves = np.fft.fftn(frame.astype(np.complex128, copy=False), axes=[axis - 1 for axis in along])
    squares: Real = density(waves).sum(axis=tuple(axis - 1 for axis in (1, 2, 3) if axis not in along))
    return squares


def momentum_step(grid: Grid, axis: int) -> float:
    """The distance of the momenta along an axis, 2π/L, in ħ/bohr."""
    return 2 * math.pi / (grid.shape[axis] * spacing(grid, axis))
