"""The state of a quantum register, Qiskit's or QuTiP's, as a wavefunction."""

from __future__ import annotations

from typing import Any

from ..checked import checked
from ..lattice.grid import Grid
from ..states import from_qobj, from_statevector
from .array import ArraySource, array


@checked
def statevector(state: Any, grid: Grid) -> ArraySource:
    """A `qiskit.quantum_info.Statevector` on a grid of one frame, ψ = amplitudes / √dV; a Source.

    The lowest bits of the index of an amplitude are z, see `states.qiskit`. The amplitudes are
    copied. Raises InvalidInput if their number is not that of the points, or dV is not known.
    """
    return array(from_statevector(state, grid)[None], grid)


@checked
def qobj(ket: Any, grid: Grid) -> ArraySource:
    """A ket `qutip.Qobj` of subsystems x, y, z on a grid of one frame, ψ = amplitudes / √dV; a Source.

    The amplitudes are copied. Raises InvalidInput if it is no ket, if their number is not that of
    the points, or dV is not known.
    """
    return array(from_qobj(ket, grid)[None], grid)
