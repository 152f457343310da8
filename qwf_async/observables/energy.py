"""Energies ⟨T⟩, ⟨V⟩ and ⟨H⟩."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import Grid
from .geometry import check_shape
from .moments import Real, moments
from .momentum import kinetic_energy


def potential_sum(psi: NDArray[Any], potential: NDArray[np.float64]) -> Real:
    """ΣV|ψ|² over the points of ψ[t, x, y, z], [t]; a sum that adds up over chunks. `potential` broadcasts to ψ."""
    values = np.broadcast_to(potential, psi.shape)
    result = np.empty(len(psi))
    for number, (frame, v) in enumerate(zip(psi, values, strict=True)):
        result[number] = np.einsum("xyz,xyz,xyz->", v, frame.real, frame.real, dtype=np.float64)
        result[number] += np.einsum("xyz,xyz,xyz->", v, frame.imag, frame.imag, dtype=np.float64)
    return result


@checked
def potential_energy(psi: NDArray[Any], grid: Grid, potential: ArrayLike) -> Real:
    """⟨V⟩ = ΣV|ψ|² / Σ|ψ|² of each frame in Hartree, [t].

    `potential`: V in Hartree, real, of a shape that broadcasts to ψ[t, x, y, z].
    Raises InvalidInput for shapes that do not fit each other.
    """
    box = check_shape(psi, grid)
    values = np.asarray(potential, np.float64)
    try:
        np.broadcast_to(values, box.shape)
    except ValueError as error:
        raise InvalidInput(
            f"the potential has the shape {values.shape}, not one that fits {box.shape}"
        ) from error
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Real = potential_sum(psi, values) / moments(psi, grid).weight
    return mean


@checked
def interaction_energy(psi: NDArray[Any], g: float) -> Real:
    """⟨g|ψ|²⟩/2 = (g/2) Σ|ψ|⁴ / Σ|ψ|² of each frame of ψ[t, x, y, z] in Hartree, [t], ψ being as it is stored.

    `g` is in Hartree·bohr^d. With ⟨T⟩ + ⟨V⟩ it is the conserved energy of the Gross–Pitaevskii
    equation. Source: Pethick and Smith, Bose–Einstein Condensation in Dilute Gases, section 6.1.
    """
    result = np.empty(len(psi))
    for number, frame in enumerate(psi):
        dense = np.square(frame.real, dtype=np.float64) + np.square(frame.imag, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            result[number] = 0.5 * g * np.einsum("xyz,xyz->", dense, dense) / dense.sum()
    return result


@checked
def energy(psi: NDArray[Any], grid: Grid, potential: ArrayLike) -> Real:
    """⟨H⟩ = ⟨T⟩ + ⟨V⟩ of each frame in Hartree, [t], of the normalised state.

    T is taken by FFT, so the grid counts as periodic: see `momentum.wave_sums`. Source: Griffiths,
    Introduction to Quantum Mechanics, section 2.1. Raises as `potential_energy`.
    """
    return kinetic_energy(psi, grid) + potential_energy(psi, grid, potential)
