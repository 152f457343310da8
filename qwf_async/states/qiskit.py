"""ψ as Qiskit's `Statevector`, and back. The extra `qiskit` is needed to make one, not to read one.

Qiskit is little-endian: qubit 0 is the lowest bit of the index of an amplitude. In C order x, y, z
the index z changes fastest, so the lowest qubits are z, the next ones y, the highest x.
Source: Qiskit documentation, "Bit-ordering in Qiskit".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput, UsageError
from ..lattice.grid import AXIS_NAMES, Grid
from .amplitudes import amplitudes, psi_of, sizes


def to_statevector(psi: NDArray[Any], grid: Grid) -> Any:
    """One frame as a `qiskit.quantum_info.Statevector` of the amplitudes ψ·√dV, which are a copy.

    Its subsystems are qubits where all sizes are powers of two, see `qubits`. Otherwise they are the
    axes, the last one first: `dims()` is (z, y, x), and `num_qubits` is None. It is normalised
    (`is_valid()`) if ψ is. `psi` as in `amplitudes`. Raises InvalidInput for another shape or an
    unknown spacing, UsageError where Qiskit is not installed.
    """
    vector = amplitudes(psi, grid)
    try:
        from qiskit.quantum_info import Statevector  # heavy, and optional
    except ImportError as error:
        raise UsageError(
            "a Statevector needs qiskit, which is not installed: pip install 'qwf_async[qiskit]'"
        ) from error
    return Statevector(vector, dims=None if _powers(grid) else sizes(grid)[::-1])


def from_statevector(state: Any, grid: Grid) -> NDArray[np.complex128]:
    """ψ[x, y, z] of a `Statevector` laid over a grid: its amplitudes / √dV, complex128, a copy.

    The shape of a frame of the grid decides at which point each amplitude is, whatever the subsystems
    of the state are. Raises InvalidInput if the number of amplitudes differs, or if the spacing of
    the grid is unknown.
    """
    if not hasattr(state, "data"):
        raise InvalidInput(f"a Statevector is wanted, not what is of type {type(state).__name__}")
    return psi_of(np.asarray(state.data), grid)


def qubits(grid: Grid) -> dict[str, range]:
    """The qubits of the index along each axis, lowest bit first: {"x": …, "y": …, "z": …}.

    Raises InvalidInput if a size is no power of two.
    """
    if not _powers(grid):
        raise InvalidInput(
            f"a grid of {sizes(grid)} points has no qubits: sizes must be powers of two, "
            "else the axes are subsystems of their own"
        )
    qubits_of_axis, first = {}, 0
    for axis in range(grid.dimensions, 0, -1):
        width = grid.shape[axis].bit_length() - 1
        qubits_of_axis[AXIS_NAMES[axis]] = range(first, first + width)
        first += width
    return dict(sorted(qubits_of_axis.items()))


def _powers(grid: Grid) -> bool:
    return all(size & (size - 1) == 0 for size in sizes(grid))
