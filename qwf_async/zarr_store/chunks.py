"""Chunks of ψ, fetched from the server."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import numpy as np

from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..catalog.still_published import explained
from ..client.pool import Pool
from ..errors import DamagedData, Refused
from ..lattice.grid import Box, shape4
from ..layout import Layout
from ..store.reading import read_box, read_field
from .hierarchy import Array, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """The chunks of `array`, the ψ of one generation, over one pool, and so on one event loop.

    `under_way` has what is being read, and the event that says that it is over.
    """

    pool: Pool
    keys: Keys
    manifest: Manifest
    layout: Layout
    array: Array
    under_way: dict[anyio.CancelScope, anyio.Event] = field(default_factory=dict)

    @classmethod
    def of(cls, pool: Pool, keys: Keys, manifest: Manifest, array: Array) -> Chunks:
        layout = manifest.form.open(keys.base(manifest.generation))
        return cls(pool=pool, keys=keys, manifest=manifest, layout=layout, array=array)

    async def get(self, place: Place) -> bytes:
        """The bytes of a chunk. Errors as for `ZarrStore.get`."""
        scope = anyio.CancelScope()
        self.under_way[scope] = anyio.Event()
        try:
            with scope:
                return await self._read(place)
        finally:
            self.under_way.pop(scope).set()
        raise Refused(f"{self.keys.name} was closed while it was read: open it again")

    async def aclose(self) -> None:
        """Stop what is under way and close the connections."""
        for scope, over in list(self.under_way.items()):
            scope.cancel()
            await over.wait()
        await self.pool.aclose()

    async def _read(self, place: Place) -> bytes:
        box = Box(start=shape4(self.array.start(place)), stop=shape4(self.array.stop(place)))
        try:
            if self.layout.zarr_chunks:
                return await read_field(self.pool, self.layout, box)
            return await self._box(box)
        except DamagedData as error:
            raise await explained(self.pool, self.keys, self.manifest.generation, error) from error

    async def _box(self, box: Box) -> bytes:
        values = await read_box(self.pool, self.layout, box)
        room = [(0, c - n) for c, n in zip(self.array.chunk, box.shape, strict=True)]
        return np.pad(values, room).tobytes()
