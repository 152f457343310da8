"""ψ as the state of a quantum register of Qiskit or QuTiP, and back: functions of an array and its grid.

    frame = await psi.read[0]                               # [x, y, z]
    state = to_statevector(frame, psi.manifest.grid)        # amplitudes ψ·√dV
    frame = from_statevector(state, psi.manifest.grid)

As a source: `qwf_async.sources.statevector(state, grid)` and `sources.qobj(ket, grid)`.
"""

from __future__ import annotations

from .qiskit import from_statevector, qubits, to_statevector
from .qutip import from_qobj, to_qobj

__all__ = ["from_qobj", "from_statevector", "qubits", "to_qobj", "to_statevector"]
