"""H = p²/2m + V on a periodic grid, applied to real states, and an approximate inverse of H − E.

The kinetic energy is taken by FFT, so that it is exact for every wave that the grid holds: see
`observables.momentum.wave_numbers`. H is real, so its eigenstates can be chosen real, and only half
of each transform is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...host.cores import cores
from ...lattice.grid import Grid
from ...observables.geometry import spacing, spatial_axes

Real = NDArray[np.float64]

GROUP_POINTS: Final = 262_144
"""Points that are transformed at a time, or one state if it has more: 2 MiB."""


@dataclass(slots=True, kw_only=True)
class Hamiltonian:
    """H on a grid with its mass. States are the rows of arrays [m, N], N points in C order.

    `values` is V in Hartree, of a shape that broadcasts to [x, y, z], and `floor` its smallest. It is left
    out of `v`, so that an offset costs no digits: what `apply` gives is H − floor. `check` is called before
    each transform, and may raise.
    """

    grid: Grid
    values: Real
    check: Callable[[], None]
    floor: float = field(init=False)
    v: Real = field(init=False)
    _t: Real = field(init=False)

    def __post_init__(self) -> None:
        self.floor = float(self.values.min())
        self.v = np.broadcast_to(self.values - self.floor, self.grid.shape[1:]).reshape(-1)
        d = self.grid.dimensions
        self._t = np.zeros((1,) * d)
        for axis in spatial_axes(self.grid):
            frequencies = np.fft.rfftfreq if axis == d else np.fft.fftfreq
            k = 2 * math.pi * frequencies(self.grid.shape[axis], spacing(self.grid, axis))
            # k is [n] of this axis: as [n, 1, 1], [1, n, 1] or [1, 1, n] its squares add up to [x, y, z].
            along = [-1 if own == axis - 1 else 1 for own in range(d)]
            self._t = self._t + (k**2 / (2 * self.grid.mass)).reshape(along)

    @property
    def points(self) -> int:
        return self.grid.frame_points

    @property
    def rounding(self) -> float:
        """What rounding may leave of ‖Hψ − Eψ‖ in Hartree, about."""
        largest: float = self._t.max() + self.v.max()
        return 8 * float(np.finfo(np.float64).eps) * largest

    @property
    def smooth(self) -> float:
        """An energy in Hartree of about the lowest states, before any are known: for a first guess."""
        return max(float(np.median(self.v)) / 4, self.longest_wave)

    @property
    def longest_wave(self) -> float:
        """The least kinetic energy above 0 that the grid knows, in Hartree."""
        return float(np.partition(self._t.reshape(-1), 1)[1]) if self._t.size > 1 else 0.0

    def apply(self, psi: Real, into: Real) -> None:
        """Fill `into` with (H − floor)ψ of each state."""
        for part in self._groups(len(psi)):
            into[part] = self._by_fft(psi[part], self._t)
            into[part] += self.v * psi[part]

    def kinetic(self, psi: Real, energies: Real, v: Real | None = None) -> Real:
        """⟨T⟩ of normalised states of these energies (above `floor`), [m], in Hartree, with `v` in place of V."""
        potential = np.array([np.einsum("p,p,p->", self.v if v is None else v, one, one) for one in psi])
        kinetic: Real = np.maximum(energies - potential, 0.0)
        return kinetic

    def precondition(self, residuals: Real, energy: float, scale: float, v: Real | None = None) -> None:
        """Multiply each row by an approximation of (H − energy)⁻¹, in place: Q (T + scale)⁻¹ Q.

        Q = (1 + (V − energy)/scale)^(−1/2) where the state cannot go, and 1 elsewhere. `scale` in
        Hartree should be some times the kinetic energy of the states sought.
        Source: Antoine, Levitt and Tang, J. Comput. Phys. 343, 92 (2017), section 4, where V stands
        for itself in Q: measured, that takes three times as many iterations for a Coulomb potential.
        """
        forbidden = np.maximum((self.v if v is None else v) - energy, 0.0)
        q = 1 / np.sqrt(1 + forbidden / scale)
        inverse = 1 / (scale + self._t)
        for part in self._groups(len(residuals)):
            residuals[part] *= q
            residuals[part] = self._by_fft(residuals[part], inverse)
            residuals[part] *= q

    def matrix(self) -> Real:
        """H − floor as a matrix [N, N]."""
        rows = np.empty((self.points, self.points))
        self.apply(np.eye(self.points), rows)
        return (rows + rows.T) / 2

    def _by_fft(self, psi: Real, factor: Real) -> Any:
        """ψ̃ times `factor`, transformed back."""
        from scipy import fft  # heavy, and optional

        self.check()
        d = self.grid.dimensions
        sizes, axes, workers = self.grid.shape[1 : d + 1], tuple(range(1, d + 1)), cores()
        waves = fft.rfftn(psi.reshape(-1, *sizes), axes=axes, workers=workers)
        waves *= factor
        back = fft.irfftn(waves, s=sizes, axes=axes, workers=workers, overwrite_x=True)
        return back.reshape(psi.shape)

    def _groups(self, count: int) -> list[slice]:
        size = max(1, GROUP_POINTS // self.points)
        return [slice(start, start + size) for start in range(0, count, size)]
