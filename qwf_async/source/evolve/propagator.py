"""One frame to the next: the split-operator method of second order, in blocks that fit the cache.

    ψ(t + dt) = e^{−iV(t+dt)dt/2} e^{−iTdt} e^{−iV(t)dt/2} ψ(t),   T = p²/2

T is diagonal after a Fourier transform. Error O(dt³) a step, O(dt²) in all; the norm is
kept to rounding. Source: Feit, Fleck and Steiger, J. Comput. Phys. 47, 412 (1982); that a
potential in motion is taken at the ends of the step keeps it symmetric and so of second
order (Strang, SIAM J. Numer. Anal. 5, 506 (1968)).

Between two frames the half steps of V join, and a step goes through memory twice, where
the transforms of all axes at once and the products would do it eight times: slabs across
x are transformed along y and z, multiplied, and transformed back while they lie in the
cache of a core, then slabs across y along x. A step on 128³ points so takes 0.7 to 0.9 of
the time of the two bare transforms that it needs. Each block is computed alike whichever
thread takes it, so results do not depend on their number, bit for bit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...grid import Grid
from ...observables.momentum import wave_numbers
from .potentials import Potential, values

BLOCK: Final = 65_536
"""Points of a block: 1 MiB. On two cores of 1 MiB L2 half of it is as quick, a quarter is slower."""

Complex = NDArray[np.complex128]


class Stopped(Exception):  # not an error: nobody waits for the frame any more
    """The computation of a frame was given up because the source was closed."""


@dataclass(slots=True, kw_only=True)
class Propagator:
    """Advances ψ[x, y, z] on a grid by steps of `dt` (ħ/Eh), of either sign, from `start` on.

    `damping` is the absorbing potential W in Hartree, of a shape that broadcasts to ψ, or None:
    V becomes V − iW. `pool` has a thread for each core.
    """

    grid: Grid
    potential: Potential
    start: float
    dt: float
    damping: NDArray[np.float64] | None
    pool: Executor
    _along_x: Complex = field(init=False)
    _across: Complex = field(init=False)
    _half: tuple[int, Complex] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        kinetic = [np.exp(-0.5j * self.dt * wave_numbers(self.grid, axis) ** 2) for axis in (1, 2, 3)]
        x, y, z = (k if self.grid.shape[1 + own] > 1 else np.ones(1) for own, k in enumerate(kinetic))
        self._along_x = x[:, None, None].astype(np.complex128)
        self._across = (y[:, None] * z)[None].astype(np.complex128)

    def advance(self, psi: Complex, into: Complex, done: int, steps: int, check: Callable[[], None]) -> float:
        """Fill `into` with ψ after `steps` more steps (at least 1), `done` of them lying behind ψ; Σ|ψ|² of it.

        Both arrays are complex128 in C order; `psi` is left as it is. `check` is called before
        each pass, and may raise. Raises InvalidInput if the potential fails or is unfit.
        """
        self._over_x(partial(self._first, psi, into, self._phase(done)))
        for step in range(1, steps + 1):
            check()
            self._over_y(partial(self._kinetic, into))
            check()
            half = self._phase(done + step)
            if step < steps:
                self._over_x(partial(self._between, into, half))
        return math.fsum(self._over_x(partial(self._last, into, half)))

    def _phase(self, step: int) -> Complex:
        """e^{−iVdt/2} at the time of a step, the absorption with it; broadcast to ψ without copies."""
        number = step if self.potential.moving else 0
        if self._half is None or self._half[0] != number:
            exponent = -0.5j * self.dt * values(self.potential, self.grid, self.start + number * self.dt)
            if self.damping is not None:
                exponent = exponent - 0.5 * abs(self.dt) * self.damping
            self._half = number, np.exp(exponent, out=exponent)
        return np.broadcast_to(self._half[1], self.grid.shape[1:])

    @property
    def _inner(self) -> tuple[int, ...]:
        return tuple(axis for axis in (1, 2) if self.grid.shape[1 + axis] > 1)

    def _first(self, psi: Complex, into: Complex, half: Complex, part: slice) -> float:
        np.multiply(psi[part], half[part], out=into[part])
        self._transform(into[part])
        return 0.0

    def _between(self, psi: Complex, half: Complex, part: slice) -> float:
        block = psi[part]
        self._back(block)
        block *= half[part]
        block *= half[part]  # twice from the cache: its square would be another frame in memory
        self._transform(block)
        return 0.0

    def _last(self, psi: Complex, half: Complex, part: slice) -> float:
        block = psi[part]
        self._back(block)
        block *= half[part]
        numbers = block.reshape(-1).view(np.float64)
        return float(np.einsum("i,i->", numbers, numbers))  # not by vdot: see observables.moments

    def _transform(self, block: Complex) -> None:
        """Along y and z, with their kinetic phase."""
        from scipy import fft

        if self._inner:
            _keep(block, fft.fftn(block, axes=self._inner, overwrite_x=True))
            block *= self._across

    def _back(self, block: Complex) -> None:
        from scipy import fft

        if self._inner:
            _keep(block, fft.ifftn(block, axes=self._inner, overwrite_x=True))

    def _kinetic(self, psi: Complex, part: slice) -> float:
        from scipy import fft

        block = psi[:, part]
        waves = fft.fft(block, axis=0, overwrite_x=True)
        waves *= self._along_x
        _keep(block, fft.ifft(waves, axis=0, overwrite_x=True))
        return 0.0

    def _over_x(self, job: Callable[[slice], float]) -> Sequence[float]:
        return self._in_blocks(job, 1)

    def _over_y(self, job: Callable[[slice], float]) -> Sequence[float]:
        return self._in_blocks(job, 2)

    def _in_blocks(self, job: Callable[[slice], float], axis: int) -> Sequence[float]:
        size = self.grid.shape[axis]
        count = max(1, BLOCK * size // self.grid.frame_points)
        parts = [slice(start, start + count) for start in range(0, size, count)]
        return [job(parts[0])] if len(parts) == 1 else list(self.pool.map(job, parts))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _keep(block: Complex, result: NDArray[Any]) -> None:
    """Have the result of a transform in `block`: that it is computed in place is allowed, not promised."""
    if not np.may_share_memory(block, result):
        block[...] = result
