"""Fields with a value at each point: probability density, phase and probability current."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..lattice.grid import Grid
from .geometry import check_shape, spatial_axes
from .momentum import wave_numbers

Real = NDArray[np.float64]


@checked
def density(psi: NDArray[Any]) -> Real:
    """|ψ|² at each point, float64 of ψ's shape, in bohr^(−d). Source: Born's rule."""
    result: Real = np.square(psi.real, dtype=np.float64)
    result += np.square(psi.imag, dtype=np.float64)
    return result


@checked
def phase(psi: NDArray[Any]) -> Real:
    """arg ψ at each point, float64 of ψ's shape, in radians from −π to π; 0 where ψ is 0."""
    angle: Real = np.angle(psi).astype(np.float64, copy=False)
    return angle


@checked
def current(psi: NDArray[Any], grid: Grid) -> Real:
    """Probability current j = (ħ/m) Im(ψ*∇ψ) of ψ[t, x, y, z], float64 [d, t, x, y, z], in Eh/ħ · bohr^(1−d).

    m is the mass of the grid. It obeys ∂|ψ|²/∂t + ∇·j = 0 where the potential is real. ∇ is taken
    by FFT, so the grid counts as periodic, and with an even number of points the shortest wave has no
    derivative. Source: Griffiths, Introduction to Quantum Mechanics, problem 1.14; for the derivative
    Trefethen, Spectral Methods in MATLAB, chapter 3. Memory: the result, and two frames of complex128.
    Raises InvalidInput for an array of another shape, or an axis in a unit that is no length.
    """
    check_shape(psi, grid)
    result = np.empty((grid.dimensions, *psi.shape))
    for axis in spatial_axes(grid):
        for number, frame in enumerate(psi):
            slope = gradient(frame, grid, axis)
            slope *= frame.conj()
            result[axis - 1, number] = slope.imag
    result /= grid.mass
    return result


@checked
def gradient(frame: NDArray[Any], grid: Grid, axis: int) -> NDArray[np.complex128]:
    """∂/∂x (axis 1), ∂/∂y or ∂/∂z of values [x, y, z] by FFT, complex128, per bohr. See `current`."""
    k = wave_numbers(grid, axis)
    if len(k) % 2 == 0:
        k[len(k) // 2] = 0.0
    shape = [1, 1, 1]  # k is [n]: as [n, 1, 1], [1, n, 1] or [1, 1, n] it multiplies the waves [x, y, z]
    shape[axis - 1] = -1
    waves: NDArray[np.complex128] = np.fft.fft(frame.astype(np.complex128, copy=False), axis=axis - 1)
    waves *= 1j * k.reshape(shape)
    return np.fft.ifft(waves, axis=axis - 1)
