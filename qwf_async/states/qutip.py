"""ψ as a ket `Qobj` of QuTiP, and back. The extra `qutip` is needed to make one, not to read one.

A ket of QuTiP has its subsystems in the order of `tensor`, the last one fastest. That is C order,
so the axes are subsystems in the order x, y, z. Source: QuTiP user guide, "Using
Tensor Products and Partial Traces".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput, UsageError
from ..lattice.grid import Grid
from .amplitudes import amplitudes, psi_of, sizes


def to_qobj(psi: NDArray[Any], grid: Grid) -> Any:
    """One frame as a ket `qutip.Qobj` of the amplitudes ψ·√dV, which are a copy.

    Its dims are [[nx, ny, nz], [1, 1, 1]], with an item for each axis of the grid; QuTiP 5
    shows the second as [1]. It is normalised if ψ is. `psi` as in `amplitudes`. Raises
    InvalidInput for another shape or an unknown spacing, UsageError where QuTiP is not installed.
    """
    vector = amplitudes(psi, grid)
    try:
        from qutip import Qobj  # heavy, and optional
    except ImportError as error:
        raise UsageError(
            "a Qobj needs qutip, which is not installed: pip install 'qwf_async[qutip]'"
        ) from error
    return Qobj(vector.reshape(-1, 1), dims=[list(sizes(grid)), [1] * grid.dimensions])


def from_qobj(ket: Any, grid: Grid) -> NDArray[np.complex128]:
    """ψ[x, y, z] of a ket laid over a grid: its amplitudes / √dV, complex128, a copy.

    Raises InvalidInput if it is no ket, if the number of amplitudes differs, or if the spacing of
    the grid is unknown.
    """
    if not hasattr(ket, "isket"):
        raise InvalidInput(f"a Qobj is wanted, not what is of type {type(ket).__name__}")
    if not ket.isket:
        raise InvalidInput(f"a wavefunction is a ket; this Qobj is of type {ket.type}")
    return psi_of(ket.full(), grid)
