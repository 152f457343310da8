"""A frame of a stored wavefunction, with which an evolution goes on; and sources that are opened with a store."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import anyio.to_thread

from ..checked import checked
from ..errors import InvalidInput, UnknownName
from ..lattice.unit_system import HARTREE, unit_system
from ..source.array import array
from ..source.base import Source
from ..source.evolve.initial import InitialFrame, choose
from ..source.in_units import in_units
from ..source.parameters import values_of
from ..source.text import extents_of, old_hash_of, open_source, stored_initial_of
from .old_hash import open_old_hash
from .store import Store
from .wavefunction import Wavefunction


@checked
async def stored_frame(
    store: Store, name: str, *, frame: int | None = None, start: float | None = None
) -> InitialFrame:
    """A frame of a stored wavefunction as the `initial` of `sources.evolve`, which goes on from there.

    It is the last frame, or the one numbered `frame`, or the one at the time `start` (ħ/Eh); with both,
    the frame `frame`, whose time is taken to be `start`. It is read now, as [1, x, y, z].
    Its fingerprint is the stored generation: a load is not resumed with another one's values.
    Raises InvalidInput if there is no such wavefunction or frame, and as `Wavefunction.point`.
    """
    return await _read(await store.open(name), frame, start)


async def _read(psi: Wavefunction, frame: int | None, start: float | None) -> InitialFrame:
    grid = psi.manifest.grid
    chosen = choose(grid, frame=frame, start=start, what=psi.name)
    values = await psi.read[chosen.number : chosen.number + 1]
    source = await anyio.to_thread.run_sync(partial(array, values, replace(grid, shape=(1, *grid.shape[1:]))))
    return chosen.of(source, index=0, spec=psi.name, stored=psi.manifest.generation)


async def source_on(store: Store, text: str, **options: Any) -> Source:
    """`open_source`, also for what is on the server of a store: a hash of the old project, a run to go on with.

    Raises as `open_source`, `open_old_hash` and `stored_frame`.
    """
    given = options.get("units")
    units = HARTREE if given is None else unit_system(given)
    key = old_hash_of(text, **{name: options.get(name) for name in ("grid", "frames", "dims")})
    if key is not None:
        box, dt = options.get("box"), options.get("dt")
        extents = None if box is None else tuple(extent * units.in_bohr for extent in _extents(box))
        step = None if dt is None else dt * units.in_atomic_time
        old_hash = await open_old_hash(store, key, box=extents, dt=step)
        return old_hash if units is HARTREE else in_units(old_hash, units)
    if (initial := stored_initial_of(text, given)) is not None:
        try:
            psi = await store.open(initial.name)
        except UnknownName as error:
            raise InvalidInput(
                f"{error}; nor is initial={initial.name} a state, a file or module:function"
            ) from error
        options["stored"] = await _read(psi, initial.frame, initial.start)
    return await anyio.to_thread.run_sync(partial(open_source, text, **options))


def _extents(box: Any) -> tuple[float, ...]:
    return extents_of(box) if isinstance(box, str) else values_of(box)
