"""Momenta and energies of a stored wavefunction: the density of its momentum, and its spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..observables.momentum_density import momentum_density as density_of
from ..observables.spectrum import Spectrum
from ..observables.spectrum import spectrum as spectrum_of
from ..wording import option
from .frame_boxes import Done, numbers_of
from .observing import observe_opened
from .store import Store
from .wavefunction import Wavefunction


@checked
async def momentum_density(
    store: Store, name: str, frame: int = 0, *, axes: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """|ψ̃(k)|² at one frame, [k along each of `axes`], integrated over the other components; None means all three.

    See `observables.momentum_density`, and `observables.momentum_axis` for its momenta. The frame is held
    in memory. Raises as that and `observe`.
    """
    return await momentum_density_opened(await store.open(name), frame, axes)


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
async def spectrum(store: Store, name: str, *, done: Done = lambda points: None) -> Spectrum:
    """The spectrum of a stored evolution, from ⟨ψ(0)|ψ(t)⟩ of all its frames: see `observables.spectrum`.

    Memory is that of a few chunks. `done` is called with the points of each frame. Raises
    InvalidInput if the time step is not known, or for too few frames; else as `observe`.
    """
    return await spectrum_opened(await store.open(name), done=done)


async def spectrum_opened(psi: Wavefunction, *, done: Done = lambda points: None) -> Spectrum:
    """`spectrum`, of a wavefunction that is open."""
    dt = psi.manifest.grid.axes[0].in_atomic_units("t").step
    if dt is None:
        raise InvalidInput(
            f"the time step of {psi.name} is not known, and energies follow from it: ingest it with {option('dt')}"
        )
    rows = observe_opened(psi, autocorrelation=True, sums_only=True, done=done)
    values = [0j if row.autocorrelation is None else row.autocorrelation async for row in rows]
    return await anyio.to_thread.run_sync(spectrum_of, values, dt)
