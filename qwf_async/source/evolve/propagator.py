"""ψ from one time to another by the split-operator method of second order, in blocks that fit the cache.

    ψ(t + dt) = e^{−iV(t+dt)dt/2} e^{−iTdt} e^{−iV(t)dt/2} ψ(t),   T = p²/2m

T is diagonal after a Fourier transform. The error is O(dt³) a step, O(dt²) in all; the norm is
kept to rounding. Source: Feit, Fleck and Steiger, J. Comput. Phys. 47, 412 (1982). A
time-dependent potential is taken at both ends of the step, which keeps the step symmetric and so
of second order (Strang, SIAM J. Numer. Anal. 5, 506 (1968)).

With interaction V becomes V + g|ψ|² (Gross–Pitaevskii). |ψ|² does not change in a half step of V, so
the step stays of second order. Where an edge absorbs, |ψ|² decays in it as e^{−2Wt}, and its integral
takes the place of |ψ|²dt/2. Source: Bao, Jaksch and Markowich, J. Comput. Phys. 187, 318 (2003).

Between two frames the half steps of V join into whole ones. A step goes through memory twice;
transforms of all axes at once, and the products, would do it eight times. Slabs across x are
transformed along y and z, multiplied and transformed back while they are in the cache of a core,
then slabs across y along x. A step on 128³ points takes 0.7 to 0.9 of the time of the two bare
transforms that it needs. Each block is computed in the same way in whatever thread, so results do
not depend on the number of threads, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...lattice.grid import Grid
from ...observables.momentum import wave_numbers
from .potentials import Potential, potential_values
from .stability import most_interaction
from .transforms import Transforms

BLOCK_POINTS: Final = 65_536
"""Points of a block, 1 MiB. On two cores with 1 MiB of L2 half of it is as fast, a quarter is slower."""

Complex = NDArray[np.complex128]


class Stopped(Exception):  # not an error: nobody is waiting for the frame any more
    """The computation of a frame was given up because the source was closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A stretch of time: `steps` steps of `dt` (ħ/Eh, of either sign) from `start` to `stop`."""

    start: float
    stop: float
    dt: float
    steps: int

    def time(self, step: int) -> float:
        """The time after `step` steps; after the last one exactly `stop`, where the next leg starts."""
        return self.stop if step == self.steps else self.start + step * self.dt


@dataclass(slots=True, kw_only=True)
class Propagator:
    """Advances ψ[x, y, z] on a grid.

    `damping` is the absorbing potential W in Hartree, of a shape that broadcasts to ψ, or None:
    V becomes V − iW. `g` is the strength of the interaction g|ψ|² in Hartree·bohr^d. `pool` has a thread
    for each core. `widest` is the largest range of V or of g|ψ|² over the grid in Hartree that was met
    since the caller last set it to 0.
    """

    grid: Grid
    potential: Potential
    damping: NDArray[np.float64] | None
    pool: Executor
    transforms: Transforms
    g: float = 0.0
    widest: float = field(init=False, default=0.0)
    _turns: dict[float, tuple[Complex, Complex]] = field(init=False, default_factory=dict)
    _half: tuple[tuple[float, float], Complex, float] | None = field(init=False, default=None)

    def advance(
        self, psi: Complex, into: Complex, leg: Leg, check: Callable[[], None], *, every: int = 1
    ) -> float:
        """Fill `into` with ψ at the end of a leg, given ψ at its start; returns Σ|ψ|² at the end.

        With `every` = 2ⁿ, which divides the steps of the leg, so many are taken as one. Both arrays
        are complex128 in C order and may be the same one; if not, `psi` is not changed. `check` is
        called before each pass, and may raise. Raises InvalidInput if the potential fails or is unfit,
        or if an attraction (g < 0) makes ψ collapse to waves that the grid does not hold.
        """
        turns = self._kinetic_turns(every * leg.dt)
        squares = every.bit_length() - 1
        whole = every * leg.dt
        half = _Stretch(phase=self._phase(leg, 0), squares=squares, time=whole / 2)
        densest = max(self._over_x(partial(self._first, psi, into, half, turns)))
        for step in range(every, leg.steps + 1, every):
            self._interacting(densest, leg.time(step - every), refuses=every == 1)
            check()
            self._over_y(partial(self._kinetic, into, turns))
            phase = self._phase(leg, step)
            check()
            if step < leg.steps:
                stretch = _Stretch(phase=phase, squares=squares + 1, time=whole)
                densest = max(self._over_x(partial(self._between, into, stretch, turns)))
        half = _Stretch(phase=phase, squares=squares, time=whole / 2)
        return math.fsum(self._over_x(partial(self._last, into, half)))

    def distance(self, psi: Complex, other: Complex) -> float:
        """Σ|ψ − other|², the same to the last bit for any number of threads."""

        def squared(part: slice) -> float:
            return weight(psi[part] - other[part])

        return math.fsum(self._over_x(squared))

    def _kinetic_turns(self, dt: float) -> tuple[Complex, Complex]:
        """e^{−iTdt}: along x, [x, 1, 1], and across it, [1, y, z]."""
        turn = -0.5j * (dt / self.grid.mass)
        if dt not in self._turns:
            if len(self._turns) > 1:  # only two are in use: of one step, and of several as one
                self._turns.clear()
            kinetic = [np.exp(turn * wave_numbers(self.grid, axis) ** 2) for axis in (1, 2, 3)]
            x, y, z = (k if self.grid.shape[1 + own] > 1 else np.ones(1) for own, k in enumerate(kinetic))
            along, across = x[:, None, None], (y[:, None] * z)[None]  # [x, 1, 1] and [1, y, z]
            self._turns[dt] = along.astype(np.complex128), across.astype(np.complex128)
        return self._turns[dt]

    def _phase(self, leg: Leg, step: int) -> Complex:
        """e^{−iVdt/2} at the time of a step, with the absorption in it, broadcast to [x, y, z] without a copy."""
        key = leg.dt, leg.time(step) if self.potential.moving else 0.0
        if self._half is None or self._half[0] != key:
            self._half = None  # its memory is released before the next one is made
            v = potential_values(self.potential, self.grid, leg.time(step))
            exponent = -0.5j * leg.dt * v
            if self.damping is not None:
                exponent = exponent - 0.5 * abs(leg.dt) * self.damping
            self._half = key, np.exp(exponent, out=exponent), float(v.max() - v.min())
        self.widest = max(self.widest, self._half[2])
        return np.broadcast_to(self._half[1], self.grid.shape[1:])

    def _first(
        self, psi: Complex, into: Complex, half: _Stretch, turns: tuple[Complex, Complex], part: slice
    ) -> float:
        densest = self._in_potential(psi[part], into[part], half, part)
        self.transforms.forward(into[part], turns[1])
        return densest

    def _between(self, psi: Complex, stretch: _Stretch, turns: tuple[Complex, Complex], part: slice) -> float:
        block = psi[part]
        self.transforms.back(block)
        densest = self._in_potential(block, block, stretch, part)
        self.transforms.forward(block, turns[1])
        return densest

    def _last(self, psi: Complex, half: _Stretch, part: slice) -> float:
        block = psi[part]
        self.transforms.back(block)
        self._in_potential(block, block, half, part)
        return weight(block)

    def _in_potential(self, block: Complex, into: Complex, stretch: _Stretch, part: slice) -> float:
        """Fill `into` with a slab after a stretch of V and g|ψ|² alone; returns the largest |ψ|² if there is g."""
        # Squared here, in the cache: the whole square would be another frame in memory.
        linear = _squared(stretch.phase[part], stretch.squares)
        if not self.g:
            np.multiply(block, linear, out=into)
            return 0.0
        dense = np.square(block.real)
        dense += np.square(block.imag)
        densest = float(dense.max())
        np.multiply(block, linear, out=into)
        dense *= -self.g * self._lasting(stretch.time, part)
        turn = np.empty(dense.shape, np.complex128)
        np.cos(dense, out=turn.real)
        np.sin(dense, out=turn.imag)
        into *= turn
        return densest

    def _lasting(self, time: float, part: slice) -> Any:
        """∫e^{−2W|s|}ds from 0 to `time` for a slab: what an absorbing edge leaves of a stretch for |ψ|² to act."""
        if self.damping is None:
            return time
        w = np.broadcast_to(self.damping, self.grid.shape[1:])[part]
        if not w.any():
            return time
        exponent = 2 * abs(time) * w
        share = np.ones_like(exponent)
        return time * np.divide(-np.expm1(-exponent), exponent, out=share, where=exponent > 0)

    def _interacting(self, densest: float, time: float, *, refuses: bool) -> None:
        """Notes the largest g|ψ|², by the largest |ψ|². If it `refuses`, raises InvalidInput where ψ collapses."""
        if not self.g:
            return
        strength = abs(self.g) * densest
        self.widest = max(self.widest, strength)
        if refuses and self.g < 0 and not strength <= (most := most_interaction(self.grid)):
            what = "collapses" if self.grid.dimensions > 1 else "becomes too narrow for the grid"
            raise InvalidInput(
                f"ψ {what} at t = {time:.6g} ħ/Eh: the attraction g|ψ|² is {-strength:.4g} Eh at its peak, and "
                f"with more than {most:.4g} Eh the peak becomes narrower than the grid holds; a finer grid holds "
                "more, and less attraction is held"
            )

    def _kinetic(self, psi: Complex, turns: tuple[Complex, Complex], part: slice) -> float:
        """Apply the kinetic phase along x to a slab [x, some y, z]."""
        self.transforms.along(psi[:, part], turns[0])
        return 0.0

    def _over_x(self, job: Callable[[slice], float]) -> Sequence[float]:
        return self._in_blocks(job, 1)

    def _over_y(self, job: Callable[[slice], float]) -> Sequence[float]:
        return self._in_blocks(job, 2)

    def _in_blocks(self, job: Callable[[slice], float], axis: int) -> Sequence[float]:
        """The results of a job for slabs across an axis of the grid (1 is x), in order, computed by the pool."""
        size = self.grid.shape[axis]
        count = block_size(self.grid, axis)
        parts = [slice(start, start + count) for start in range(0, size, count)]
        return [job(parts[0])] if len(parts) == 1 else list(self.pool.map(job, parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """A time of V alone: e^{−iVdt/2}, how often it is squared, and how long that is in ħ/Eh."""

    phase: Complex
    squares: int
    time: float


def block_size(grid: Grid, axis: int) -> int:
    """Points along an axis of the grid (1 is x) of the blocks that are cut across it."""
    return min(grid.shape[axis], max(1, BLOCK_POINTS * grid.shape[axis] // grid.frame_points))


def weight(psi: Complex) -> float:
    """Σ|ψ|² of an array in C order."""
    numbers = psi.reshape(-1).view(np.float64)
    return float(np.einsum("i,i->", numbers, numbers))  # einsum, not vdot: see observables.moments


def _squared(phase: Complex, times: int) -> Complex:
    """phase^(2^times)."""
    for _ in range(times):
        phase = phase * phase
    return phase
