"""Qiskit's `Statevector`. The extra `qiskit` is needed to make one, not to read one.

Qiskit is little-endian: qubit 0 is the lowest bit of the index of an amplitude. In C order
x, y, z the index z changes fastest, so the lowest qubits hold z, the next y, the highest x.
Source: Qiskit documentation, "Bit-ordering in Qiskit".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput, UsageError
from ..lattice.grid import AXIS_NAMES, Grid
from .amplitudes import amplitudes, field, sizes


def to_statevector(psi: NDArray[Any], grid: Grid) -> Any:
    """One frame as a `qiskit.quantum_info.Statevector` of the amplitudes ψ·√dV, with memory of its own.

    Its subsystems are qubits where all sizes are powers of two, see `qubits`; else the axes,
    the last one first: `dims()` is (z, y, x), and `num_qubits` is None. It is as normalised as
    ψ is (`is_valid()`). `psi` as in `amplitudes`. Raises InvalidInput for another shape or an
    unknown spacing, UsageError where Qiskit is not installed.
    """
    vector = amplitudes(psi, grid)
    try:
        from qiskit.quantum_info import Statevector
    except ImportError as error:
        raise UsageError(
            "a Statevector needs qiskit, which is not installed: pip install 'qwf_async[qiskit]'"
        ) from error
    return Statevector(vector, dims=None if _powers(grid) else sizes(grid)[::-1])


def from_statevector(state: Any, grid: Grid) -> NDArray[np.complex128]:
    """ψ[x, y, z] of a `Statevector` laid over a grid: its amplitudes / √dV, complex128, a copy.

    The first frame's shape of the grid decides which amplitude lies where, whatever the
    subsystems of the state. Raises InvalidInput if it has another number of amplitudes,
    or the grid an unknown spacing.
    """
    if not hasattr(state, "data"):
        raise InvalidInput(f"a Statevector is wanted, not what is of type {type(state).__name__}")
    return field(np.asarray(state.data), grid)


def qubits(grid: Grid) -> dict[str, range]:
    """The qubits that hold the index along each axis, lowest bit first: {"x": …, "y": …, "z": …}.

    Raises InvalidInput if a size is no power of two.
    """
    if not _powers(grid):
        raise InvalidInput(
            f"a grid of {sizes(grid)} points has no qubits: sizes must be powers of two, "
            "else the axes are subsystems of their own"
        )
    found, first = {}, 0
    for axis in range(grid.dimensions, 0, -1):
        width = grid.shape[axis].bit_length() - 1
        found[AXIS_NAMES[axis]] = range(first, first + width)
        first += width
    return dict(sorted(found.items()))


def _powers(grid: Grid) -> bool:
    return all(size & (size - 1) == 0 for size in sizes(grid))
