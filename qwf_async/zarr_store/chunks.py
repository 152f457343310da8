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
from ..wire.batch import Buffer, byte_view
from .hierarchy import ChunkIndex, ZarrArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """The chunks of `array`, the ψ of one generation, read over one pool and so on one event loop.

    `reads` holds for each read that is under way the event that is set when it ends.
    """

    pool: Pool
    keys: Keys
    manifest: Manifest
    layout: Layout
    array: ZarrArray
    from_replicas: bool
    reads: dict[anyio.CancelScope, anyio.Event] = field(default_factory=dict)

    @classmethod
    def of(
        cls, pool: Pool, keys: Keys, manifest: Manifest, array: ZarrArray, *, from_replicas: bool
    ) -> Chunks:
        layout = manifest.form.open(keys.base(manifest.generation))
        return cls(
            pool=pool, keys=keys, manifest=manifest, layout=layout, array=array, from_replicas=from_replicas
        )

    async def get(self, index: ChunkIndex) -> Buffer:
        """The bytes of a chunk. Raises as `ZarrStore.get`."""
        scope = anyio.CancelScope()
        self.reads[scope] = anyio.Event()
        try:
            with scope:
                await self.pool.settle()
                return await self._read(index)
        finally:
            self.reads.pop(scope).set()
        raise Refused(f"{self.keys.name} was closed while it was read: open it again")

    async def aclose(self) -> None:
        """Stop all reads and close the connections."""
        for scope, ended in list(self.reads.items()):
            scope.cancel()
            await ended.wait()
        await self.pool.aclose()

    async def _read(self, index: ChunkIndex) -> Buffer:
        box = Box(start=shape4(self.array.start(index)), stop=shape4(self.array.stop(index)))
        pool = self.pool.from_replicas if self.from_replicas else self.pool
        try:
            if self.array.chunk == self.layout.grain and self.layout.zarr_chunks:
                return await read_field(pool, self.layout, box)
            values = await read_box(pool, self.layout, box)
        except DamagedData as error:
            raise await explained(self.pool, self.keys, self.manifest.generation, error) from error
        if values.shape != self.array.chunk:
            # At the edge of the grid: zeros behind the points on each axis.
            padded = np.zeros(self.array.chunk, values.dtype)
            padded[tuple(map(slice, values.shape))] = values
            values = padded
        return byte_view(values)
