"""The source of a copy: what is stored elsewhere, on a server or in a backup, read by whole chunks of its own plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio.from_thread
import anyio.lowlevel
import numpy as np
from numpy.typing import NDArray

from ..catalog.manifest import Manifest
from ..client.parallel import in_parallel
from ..lattice.grid import Box, Grid, Order
from ..lattice.plan import BoxPlan
from ..wire.codec import binary_dtype, stored_dtype
from .chunk_cache import ChunkCache, LoadChunks
from .snapshot import Snapshot


class CopySource:
    """A stored wavefunction as a source: `load` yields its chunks. Several threads may read it at once.

    It names the original's source, with its fingerprint. If values went through another codec on
    the way, that source would not yield them, so the fingerprint says through which. `copied["copy_of"]` says
    what is copied, with a digest of its values: that decides whether a copy can be resumed.
    """

    parallel = True

    def __init__(self, manifest: Manifest, codec: str, copied: Mapping[str, str], load: LoadChunks) -> None:
        own = manifest.form.codec
        exact = codec == own or binary_dtype(own) == np.dtype("<c16")
        self._fingerprint = manifest.fingerprint if exact else f"through {own}: {manifest.fingerprint}"
        self._manifest = manifest
        self._cache = ChunkCache(plan=manifest.plan, dtype=stored_dtype(own), load=load)
        self.copied = copied

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot, codec: str) -> CopySource:
        """That of a wavefunction on a server, to be stored with a codec. Its store must be open on the running loop."""
        token = anyio.lowlevel.current_token()

        async def read(chunks: Sequence[int]) -> list[NDArray[Any]]:
            values: dict[int, NDArray[Any]] = {}

            async def read_one(chunk: int) -> None:
                values[chunk] = await snapshot.read(chunk)

            await in_parallel(read_one, chunks, snapshot.readers)
            return [values[chunk] for chunk in chunks]

        def load(chunks: Sequence[int]) -> list[NDArray[Any]]:
            return anyio.from_thread.run(read, chunks, token=token)

        return cls(snapshot.manifest, codec, {"copy_of": snapshot.identity}, load)

    @property
    def spec(self) -> str:
        return self._manifest.source

    @property
    def grid(self) -> Grid:
        return self._manifest.grid

    @property
    def order(self) -> Order:
        plan = self._manifest.plan
        return plan.order if isinstance(plan, BoxPlan) else "C"

    def read(self, box: Box) -> NDArray[Any]:
        return self._cache.read(box)

    def fingerprint(self) -> str:
        return self._fingerprint

    def close(self) -> None:
        """Nothing is open."""
