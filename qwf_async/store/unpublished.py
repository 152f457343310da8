"""A load that is under way, or was interrupted, as something to read: what its journal holds, and nothing else.

Nothing is written, and no lease is touched. What is in a spool is not on the server, so it is not stored yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..catalog.journal import read_journal, share_stored
from ..catalog.keys import Keys, check_name
from ..catalog.manifest import Manifest
from ..catalog.name_state import read_state
from ..catalog.still_published import is_published
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..client.reply import is_text_or_none
from ..errors import DamagedData, Refused, UnknownName
from ..lattice.grid import Box
from ..lattice.held import chunks_of, held_boxes
from ..lattice.selection import SelectedBox, Selection
from ..wire.codec import stored_dtype
from .reading import read_box
from .store import Store


class LoadPublished(Refused):
    """The load was published: its generation is what the name has now, and can be opened as that."""


class LoadGone(UnknownName):
    """There is no load of the name, or it is another one: it was discarded, or began anew."""


class Unpublished:
    """The load of one generation, by its own manifest, until it is published or removed."""

    def __init__(self, store: Store, name: str, manifest: Manifest) -> None:
        self.name = name
        self.manifest = manifest
        self._store = store
        self._keys = Keys(prefix=store.settings.prefix, name=name)
        self._layout = manifest.form.open(self._keys.base(manifest.generation))

    @property
    def dtype(self) -> np.dtype[Any]:
        """As that of a wavefunction: complex64 for codec c8, else complex128."""
        return stored_dtype(self.manifest.form.codec)

    async def done(self) -> float:
        """The share of the chunks that is stored, 0 to 1; of many chunks by a sample. Raises as `read_selection`."""
        share = await share_stored(self._store.pool, self._keys, self.manifest)
        await self._check_under_way()
        return share

    async def read_selection(
        self,
        selection: Selection,
        into: NDArray[Any] | None = None,
        stored: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The values of a selection, and which of them are stored, both of its shape; what is not stored is 0.

        They are put into arrays of the caller's, if these are given. A point is stored if the journal
        has its chunk, and the server has the value. Only the journal's entries of the chunks that are
        touched are read, and only what is stored is asked for.
        Raises LoadPublished or LoadGone if it is not under way any more; else as `Wavefunction.point`.
        """
        result = np.empty(selection.shape, self.dtype) if into is None else into
        there = np.empty(selection.shape, np.bool_) if stored is None else stored
        values, mask = result.reshape(selection.full_shape), there.reshape(selection.full_shape)
        plan = self.manifest.plan
        pieces = list(selection.pieces(self._layout.grain))
        held = np.zeros(len(plan), np.bool_)
        for piece in pieces:
            held[chunks_of(plan, piece.box)] = True
        touched = np.flatnonzero(held)
        held[touched] = False
        if len(touched):
            entries = await read_journal(self._store.pool, self._keys, self.manifest, touched.tolist())
            held[list(entries)] = True

        async def read(piece: SelectedBox) -> None:
            found, come = np.zeros(piece.box.shape, self.dtype), np.zeros(piece.box.shape, np.bool_)
            for box in held_boxes(plan, piece.box, held):
                await self._read_held(box, found[box.within(piece.box)], come[box.within(piece.box)])
            values[piece.into], mask[piece.into] = found[piece.taken], come[piece.taken]

        await in_parallel(read, pieces, self._store.settings.writers)
        await self._check_under_way()
        return result, there

    async def _read_held(self, box: Box, into: NDArray[Any], there: NDArray[np.bool_]) -> None:
        """Read a box whose chunks are in the journal. A chunk of which a value is missing stays as if it were not."""
        try:
            into[...] = await read_box(self._reading, self._layout, box)
        except DamagedData:
            parts = [part for _, parts in self.manifest.plan.touched(box) for part in parts]
            if parts == [box]:
                return
            for part in parts:
                await self._read_held(part, into[part.within(box)], there[part.within(box)])
        else:
            there[...] = True

    @property
    def _reading(self) -> Pool:
        pool = self._store.pool
        return pool.from_replicas if self._store.settings.read_from == "replica" else pool

    async def _check_under_way(self) -> None:
        generation, pool = self.manifest.generation, self._store.pool
        under_way = await pool.call(
            "HGET",
            self._keys.load,
            "generation",
            expect=is_text_or_none,
            doing=f"reading {self._keys.load}",
        )
        if under_way == generation.encode():
            return
        if await is_published(pool, self._keys, generation):
            raise LoadPublished(f"the load of {self.name} was published meanwhile: open {self.name}")
        raise LoadGone(f"the load of {self.name} was removed meanwhile")


async def open_load(store: Store, name: str) -> Unpublished:
    """The load of a name that is under way or was interrupted. Raises LoadGone if there is none."""
    keys = Keys(prefix=store.settings.prefix, name=check_name(name))
    state = await read_state(store.pool, keys)
    if state.under_way is None:
        raise LoadGone(f"no load of {name} is under way")
    return Unpublished(store, name, state.under_way.manifest)
