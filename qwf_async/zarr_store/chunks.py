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

    async def get(self, index: ChunkIndex) -> bytes:
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

    async def _read(self, index: ChunkIndex) -> bytes:
        box = Box(start=shape4(self.array.start(index)), stop=shape4(self.array.stop(index)))
        try:
            if self.layout.zarr_chunks:
                return await read_field(self._reading, self.layout, box)
            return await self._box(box)
        except DamagedData as error:
            raise await explained(self.pool, self.keys, self.manifest.generation, error) from error

    @property
    def _reading(self) -> Pool:
        return self.pool.from_replicas if self.from_replicas else self.pool

    async def _box(self, box: Box) -> bytes:
        values = await read_box(self._reading, self.layout, box)
        # From the shape of the box to the shape of a chunk, with zeros behind the points on each axis.
        padding = [(0, c - n) for c, n in zip(self.array.chunk, box.shape, strict=True)]
        return np.pad(values, padding).tobytes()
