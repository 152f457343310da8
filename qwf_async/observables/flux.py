"""The flux of probability through a plane across an axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES, Box, Grid
from .geometry import check_shape, ends, spacing, spatial_axes, volume
from .momentum import wave_numbers

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@checked
def flux(psi: NDArray[Any], grid: Grid, axis: int, at: float) -> Real:
    """∫j dA through the plane at the coordinate `at` (bohr) of an axis, for each frame of ψ[t, x, y, z]: [t] in Eh/ħ.

    It is the probability that goes towards larger coordinates per unit of time. `axis` is 1, 2 or 3
    for x, y or z; j is that of `current`, of ψ as it is stored. ψ and ∂ψ at the plane are those
    of the trigonometric polynomial through the points of each line, which is as exact as the
    FFT; the grid counts as periodic. Source: Trefethen, Spectral Methods in MATLAB, chapter 3.
    Memory beside ψ: two planes of complex128. Raises InvalidInput for a plane outside the grid; else as `current`.
    """
    box = check_shape(psi, grid)
    return flux_of(at_plane(psi, grid, axis, plane_weights(grid, axis, at), box), grid, axis)


def plane_weights(grid: Grid, axis: int, at: float) -> Real:
    """The weights of the points of a line in ψ and in ∂ψ at a coordinate (bohr) of it: [2, n]; the latter per bohr.

    With an even number of points the shortest wave counts as a cosine about the first point, as its
    phase is not known: so it has no derivative at the points, as in `gradient`. Raises
    InvalidInput for a coordinate outside the grid, and an axis that the grid does not have.
    """
    check_inside(grid, axis, at)
    n, k = grid.shape[axis], wave_numbers(grid, axis)
    distance = at - ends(grid, axis)[0]  # from the first point
    waves = np.exp(1j * k * distance)
    slopes = 1j * k * waves
    if n % 2 == 0:
        shortest = k[n // 2]
        waves[n // 2] = np.cos(shortest * distance)
        slopes[n // 2] = -shortest * np.sin(shortest * distance)
    # Σ over k of c(k)·exp(−ikx_j)/n is a forward transform of the coefficients; it is real, as c(−k) = c(k)*.
    return np.fft.fft(np.stack((waves, slopes))).real / n


def at_plane(psi: NDArray[Any], grid: Grid, axis: int, weights: Real, box: Box) -> Complex:
    """What the points of `box` contribute to ψ and ∂ψ on a plane: [2, t, rows, columns], of the box's rows and columns.

    It adds up over boxes with the same rows and columns. See `plane_weights`.
    """
    own = weights[:, box.start[axis] : box.stop[axis]]
    letter = "xyz"[axis - 1]
    plane = "xyz".replace(letter, "")
    shape = [size for number, size in enumerate(psi.shape) if number != axis]
    result = np.empty((2, *shape), np.complex128)
    for of_values, line in zip(result, own, strict=True):
        for frame, values in zip(psi, of_values, strict=True):
            values.real = np.einsum(f"{letter},xyz->{plane}", line, frame.real, dtype=np.float64)
            values.imag = np.einsum(f"{letter},xyz->{plane}", line, frame.imag, dtype=np.float64)
    return result


def flux_of(plane: Complex, grid: Grid, axis: int) -> Real:
    """The flux from ψ and ∂ψ on a plane, [2, t, rows, columns]: [t] in Eh/ħ."""
    values, slopes = plane
    area = volume(grid) / (spacing(grid, axis) if grid.shape[axis] > 1 else 1.0)
    result: Real = (values.real * slopes.imag - values.imag * slopes.real).sum(axis=(1, 2)) * area / grid.mass
    return result


def check_inside(grid: Grid, axis: int, at: float) -> None:
    """Raises InvalidInput if a coordinate (bohr) is outside the grid, or if there is no such axis."""
    name = AXIS_NAMES[axis]
    if axis not in spatial_axes(grid):
        raise InvalidInput(f"there is no plane across {name}: the grid lies along {'xyz'[: grid.dimensions]}")
    low, high = ends(grid, axis)
    if not low <= at <= high:
        raise InvalidInput(
            f"{name} = {at:g} bohr is outside the grid, which reaches from {low:g} to {high:g} bohr"
        )
