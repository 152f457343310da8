"""Observables of stored wavefunctions, read a frame or a chunk at a time.

Sums over points (norm, ⟨x⟩, σx, ⟨V⟩, overlaps, marginals) are added up chunk by chunk: that takes
the memory of a few chunks of about 65,536 points. Momentum and kinetic energy need whole lines of
the grid, and hold one frame.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES, Box, Grid
from ..observables.density import density
from ..observables.energy import potential_sum
from ..observables.moments import Moments, marginal, moments
from ..observables.momentum import Momenta, momenta
from ..observables.overlap import fidelity_of, overlap_sum
from ..source.evolve.potentials import Potential, potential_values
from .frame_boxes import Done, at_frame, for_each_box, numbers_of, read_box, time_of
from .observed import Observed
from .store import Store
from .wavefunction import Wavefunction

MAX_OFFSET: Final = 1e-6
"""Distance, in steps of the grid, up to which points of two wavefunctions count as the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """What chunks contribute to the sums of a frame, added up by `+`. What was not asked for stays 0."""

    moments: Moments
    potential: float = 0.0
    square: float = 0.0
    overlap: complex = 0.0
    other_weight: float = 0.0
    autocorrelation: complex = 0.0

    def __add__(self, more: _Sums) -> _Sums:
        return _Sums(
            moments=self.moments + more.moments,
            potential=self.potential + more.potential,
            square=self.square + more.square,
            overlap=self.overlap + more.overlap,
            other_weight=self.other_weight + more.other_weight,
            autocorrelation=self.autocorrelation + more.autocorrelation,
        )


@checked
async def observe(
    store: Store,
    name: str | Wavefunction,
    *,
    frames: Sequence[int] | None = None,
    potential: Potential | None = None,
    g: float | None = None,
    other: str | None = None,
    autocorrelation: bool = False,
    sums_only: bool = False,
    done: Done = lambda points: None,
) -> AsyncIterator[Observed]:
    """The observables of a stored wavefunction, frame by frame in the order given, or of all frames.

    `potential` adds ⟨V⟩ and ⟨H⟩; `g`, in Hartree·bohr^d, adds ⟨g|ψ|²⟩/2 to them, for an evolution with
    the term g|ψ|². `other`, the name of another wavefunction on the same grid, adds
    ⟨other|ψ⟩ and the fidelity: of frame with frame, or of each frame with its only one.
    `autocorrelation` adds ⟨ψ(0)|ψ(t)⟩ with the first frame. With `sums_only` there is no momentum
    and no energy, and no frame is held. If the spacing of an axis is not known, its observables
    are in grid steps. `done` is called with the number of points of each frame when it is done.

    Raises InvalidInput if there is no such name or frame, or if the two do not lie on the same
    points. Also if the potential does not fit, or needs a spacing that is not known. Raises
    DamagedData if a value is missing, Refused if it was replaced meanwhile, and ServerUnavailable.
    """
    psi = await store.opened(name)
    bra = None if other is None else await store.open(other)
    rows = observe_opened(
        psi,
        frames=frames,
        potential=potential,
        g=g,
        bra=bra,
        autocorrelation=autocorrelation,
        sums_only=sums_only,
        done=done,
    )
    async for row in rows:
        yield row


async def observe_opened(
    psi: Wavefunction,
    *,
    frames: Sequence[int] | None = None,
    potential: Potential | None = None,
    g: float | None = None,
    bra: Wavefunction | None = None,
    autocorrelation: bool = False,
    sums_only: bool = False,
    done: Done = lambda points: None,
) -> AsyncGenerator[Observed, None]:
    """`observe`, of wavefunctions that are open; `bra` is the other one."""
    if bra is not None:
        _check_paired(psi, bra)
    grid = psi.manifest.grid
    one_at_a_time = anyio.CapacityLimiter(1)  # a potential of the user need not bear two calls at once
    for number in numbers_of(grid, frames):
        whole = None if sums_only else await psi.read[number : number + 1]
        asked = _Summing(
            psi=psi,
            number=number,
            whole=whole,
            potential=potential,
            g=g,
            bra=bra,
            autocorrelation=autocorrelation,
            one_at_a_time=one_at_a_time,
        )
        row = await _row(asked)
        del whole, asked  # no frame is held while the caller takes the row
        yield row
        done(grid.frame_points)


async def _row(asked: _Summing) -> Observed:
    grid, whole = asked.psi.manifest.grid, asked.whole
    sums: _Sums = reduce(add, await for_each_box(asked.psi, asked.chunk))
    momentum = None if whole is None else await anyio.to_thread.run_sync(momenta, whole, grid)
    return _observed(grid, asked.number, sums, momentum, asked)


@checked
async def marginals(store: Store, name: str | Wavefunction, frame: int = 0) -> list[NDArray[np.float64]]:
    """The probability density along each axis at one frame, integrated over the other axes: [n] in 1/bohr.

    Memory is that of a few chunks. Raises as `observe`.
    """
    return await marginals_opened(await store.opened(name), frame)


async def marginals_opened(psi: Wavefunction, frame: int) -> list[NDArray[np.float64]]:
    """`marginals`, of a wavefunction that is open."""
    grid = psi.manifest.grid
    (number,) = numbers_of(grid, [frame])
    result = [np.zeros(size) for size in grid.shape[1 : 1 + grid.dimensions]]

    async def chunk(box: Box) -> list[tuple[slice, NDArray[np.float64]]]:
        part = at_frame(box, number)
        ket = await read_box(psi, part)
        return [(part.slices[axis], marginal(ket, grid, axis, part)[0]) for axis in range(1, 1 + len(result))]

    for densities in await for_each_box(psi, chunk):
        for line, (points, part) in zip(result, densities, strict=True):
            line[points] += part
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Summing:
    """What is summed up over the chunks of one frame. `whole` is the frame, [1, x, y, z], if it is held."""

    psi: Wavefunction
    number: int
    whole: NDArray[Any] | None
    potential: Potential | None
    g: float | None
    bra: Wavefunction | None
    autocorrelation: bool
    one_at_a_time: anyio.CapacityLimiter

    async def chunk(self, box: Box) -> _Sums:
        part = at_frame(box, self.number)
        ket = await read_box(self.psi, part) if self.whole is None else self.whole[box.slices]
        bra = start = None
        if self.bra is not None:
            has_one_frame = self.bra.manifest.grid.shape[0] == 1
            bra = await read_box(self.bra, box if has_one_frame else part)
        if self.autocorrelation:
            start = ket if self.number == 0 else await read_box(self.psi, box)
        return await anyio.to_thread.run_sync(self._sums, part, ket, bra, start, limiter=self.one_at_a_time)

    def _sums(
        self, part: Box, ket: NDArray[Any], bra: NDArray[Any] | None, start: NDArray[Any] | None
    ) -> _Sums:
        grid = self.psi.manifest.grid
        v = None
        if self.potential is not None:
            v = potential_values(self.potential, grid, time_of(grid, self.number), part)
        return _Sums(
            moments=moments(ket, grid, part),
            potential=0.0 if v is None else float(potential_sum(ket, v)[0]),
            square=0.0 if self.g is None else float(np.square(density(ket)).sum()),
            overlap=0.0 if bra is None else complex(overlap_sum(bra, ket)[0]),
            other_weight=0.0 if bra is None else float(moments(bra, grid, part).weight[0]),
            autocorrelation=0.0 if start is None else complex(overlap_sum(start, ket)[0]),
        )


def _observed(grid: Grid, number: int, sums: _Sums, momentum: Momenta | None, asked: _Summing) -> Observed:
    position, cell = sums.moments, sums.moments.cell
    product = sums.overlap * cell
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_potential = float((np.array([sums.potential]) / position.weight)[0])
        interaction = float((np.array([0.5 * (asked.g or 0.0) * sums.square]) / position.weight)[0])
    other = np.array([sums.other_weight * cell])
    return Observed(
        frame=number,
        time=None if grid.axes[0].step is None else time_of(grid, number),
        norm=float(position.norm[0]),
        position=tuple(position.mean[0].tolist()),
        position_sigma=tuple(np.sqrt(position.variance[0]).tolist()),
        momentum=None if momentum is None else tuple(momentum.mean[0].tolist()),
        momentum_sigma=None if momentum is None else tuple(np.sqrt(momentum.variance[0]).tolist()),
        kinetic=None if momentum is None else float(momentum.kinetic[0]),
        potential=None if asked.potential is None else mean_potential,
        interaction=None if asked.g is None else interaction,
        overlap=None if asked.bra is None else product,
        fidelity=None
        if asked.bra is None
        else float(fidelity_of(np.array([product]), other, position.norm)[0]),
        autocorrelation=sums.autocorrelation * cell if asked.autocorrelation else None,
    )


def _check_paired(psi: Wavefunction, other: Wavefunction) -> None:
    """Raises InvalidInput if the points of the other one are not those of ψ."""
    a, b = psi.manifest.grid, other.manifest.grid
    if a.shape[1:] != b.shape[1:] or b.shape[0] not in (1, a.shape[0]):
        raise InvalidInput(
            f"{other.name} has the shape {b.shape} as t, x, y, z, and {psi.name} has {a.shape}: "
            "their points must be the same, and their frames as many, or one"
        )
    pairs = zip(a.in_atomic_units().axes[1:], b.in_atomic_units().axes[1:], strict=True)
    for name, size, (first, second) in zip(AXIS_NAMES[1:], a.shape[1:], pairs, strict=True):
        if size == 1 or first.step is None or second.step is None:
            continue
        # Axes that were converted from another unit differ by the rounding of that.
        offset = abs(first.origin - second.origin) + size * abs(first.step - second.step)
        if offset > MAX_OFFSET * first.step:
            raise InvalidInput(f"{other.name} and {psi.name} lie on different points along {name}")
