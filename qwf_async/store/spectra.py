"""Momenta and energies of a stored wavefunction: the density of its momentum, and its spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import Box
from ..observables.momentum_density import momentum_density as density_of
from ..observables.overlap import overlap_sum
from ..observables.spectrum import Spectrum
from ..observables.spectrum import spectrum as spectrum_of
from ..wording import option
from .frame_boxes import Done, for_each_box, numbers_of, read_box
from .store import Store
from .wavefunction import Wavefunction

BOX_POINTS: Final = 65_536
"""Points that are read at a time of the frames of a box."""


@checked
async def momentum_density(
    store: Store, name: str | Wavefunction, frame: int = 0, *, axes: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """|ψ̃(k)|² at one frame, [k along each of `axes`], integrated over the other components; None means all three.

    See `observables.momentum_density`, and `observables.momentum_axis` for its momenta. The frame is held
    in memory. Raises as that and `observe`.
    """
    return await momentum_density_opened(await store.opened(name), frame, axes)


async def momentum_density_opened(
    psi: Wavefunction, frame: int, axes: Sequence[int] | None
) -> NDArray[np.float64]:
    """`momentum_density`, of a wavefunction that is open."""
    grid = psi.manifest.grid
    (number,) = numbers_of(grid, [frame])
    values = await psi.read[number : number + 1]
    (density,) = await anyio.to_thread.run_sync(density_of, values, grid, axes)
    return np.asarray(density)


@checked
async def spectrum(store: Store, name: str | Wavefunction, *, done: Done = lambda points: None) -> Spectrum:
    """The spectrum of a stored evolution, from ⟨ψ(0)|ψ(t)⟩ of all its frames: see `observables.spectrum`.

    Memory is that of a few chunks of about 65,536 points. `done` is called with the number of points read. Raises
    InvalidInput if the time step is not known, or for too few frames; else as `observe`.
    """
    return await spectrum_opened(await store.opened(name), done=done)


async def spectrum_opened(psi: Wavefunction, *, done: Done = lambda points: None) -> Spectrum:
    """`spectrum`, of a wavefunction that is open."""
    dt = psi.manifest.grid.axes[0].in_atomic_units("t").step
    if dt is None:
        raise InvalidInput(
            f"the time step of {psi.name} is not known, and energies follow from it: ingest it with {option('dt')}"
        )
    return await anyio.to_thread.run_sync(spectrum_of, await _autocorrelation(psi, done), dt)


async def _autocorrelation(psi: Wavefunction, done: Done) -> NDArray[np.complex128]:
    """⟨ψ(0)|ψ(t)⟩ of all frames, [t], without dV. Each value is read once: of a box all frames, some at a time."""
    frames = psi.manifest.grid.shape[0]

    async def of_box(box: Box) -> NDArray[np.complex128]:
        result = np.empty(frames, np.complex128)
        at_once = max(1, BOX_POINTS // box.points)
        start = await read_box(psi, box)
        for first in range(0, frames, at_once):
            some = slice(first, min(first + at_once, frames))
            part = Box(start=(some.start, *box.start[1:]), stop=(some.stop, *box.stop[1:]))
            ket = await read_box(psi, part)
            result[some] = await anyio.to_thread.run_sync(overlap_sum, start, ket)
            done(part.points)
        return result

    sums: NDArray[np.complex128] = np.stack(await for_each_box(psi, of_box)).sum(axis=0)
    return sums
