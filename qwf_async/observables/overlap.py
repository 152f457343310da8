"""Overlap and fidelity of two wavefunctions, and the overlap of one with its first frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import Grid
from .geometry import check_shape, volume
from .moments import Real, moments

Complex = NDArray[np.complex128]


def overlap_sum(bra: NDArray[Any], ket: NDArray[Any]) -> Complex:
    """Σφ*ψ over the points of φ and ψ, both [t, x, y, z], without dV, [t]; a sum that adds up over chunks.

    Frames are paired; a φ of one frame is paired with every frame of ψ.
    """
    result = np.empty(len(ket), np.complex128)
    for number, frame in enumerate(ket):
        other = bra[number if len(bra) > 1 else 0]
        re = _real_sum(other.real, frame.real) + _real_sum(other.imag, frame.imag)
        im = _real_sum(other.real, frame.imag) - _real_sum(other.imag, frame.real)
        result[number] = complex(re, im)
    return result


@checked
def overlap(bra: NDArray[Any], ket: NDArray[Any], grid: Grid) -> Complex:
    """⟨φ|ψ⟩ = Σφ*ψ dV of each frame, [t], without a unit: antilinear in `bra`, in Dirac's convention.

    Neither is normalised. A φ of one frame is paired with every frame of ψ.
    Raises InvalidInput if one of them has not the shape of the grid, or if they differ in frames.
    """
    check_shape(bra, grid)
    check_shape(ket, grid)
    if len(bra) not in (1, len(ket)):
        raise InvalidInput(f"{len(bra)} frames cannot be paired with {len(ket)}: give as many, or one")
    return overlap_sum(bra, ket) * volume(grid)


@checked
def fidelity(bra: NDArray[Any], ket: NDArray[Any], grid: Grid) -> Real:
    """|⟨φ|ψ⟩|² / ⟨φ|φ⟩⟨ψ|ψ⟩ of each frame, [t], from 0 to 1.

    Source: Nielsen and Chuang, Quantum Computation and Quantum Information, section 9.2.2,
    squared, as usual for pure states. Raises as `overlap`.
    """
    return fidelity_of(overlap(bra, ket, grid), moments(bra, grid).norm, moments(ket, grid).norm)


def fidelity_of(product: Complex, bra_norm: Real, ket_norm: Real) -> Real:
    """The fidelity from ⟨φ|ψ⟩ and both norms, [t]; NaN where a norm is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Real = np.abs(product) ** 2 / (bra_norm * ket_norm)
    return result


@checked
def autocorrelation(psi: NDArray[Any], grid: Grid) -> Complex:
    """⟨ψ(0)|ψ(t)⟩ of each frame with the first, [t]; its Fourier transform in t is the spectrum.

    Source: Heller, Acc. Chem. Res. 14, 368 (1981). Raises as `overlap`.
    """
    return overlap(psi[:1], psi, grid)


def _real_sum(a: NDArray[Any], b: NDArray[Any]) -> float:
    # einsum, not vdot: see moments._summed_to.
    return float(np.einsum("xyz,xyz->", a, b, dtype=np.float64))
