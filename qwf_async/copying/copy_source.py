"""The source of a copy: what is stored elsewhere, on a server or in a backup, read by whole chunks of its own plan.

Where the copy has other chunks, those of the original are kept until the plan is past them, a layer of chunks at most.
What is too much for memory is kept in a temporary file, as blocks of files are (`source.formats.block_cache`): a
layer of tiles of 1024×1024 points, 8 thick, is 134 MB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio.from_thread
import anyio.lowlevel
import numpy as np
from numpy.typing import NDArray

from ..catalog.manifest import Manifest
from ..client.parallel import in_parallel
from ..lattice.grid import Box, Grid, Order
from ..lattice.plan import BoxPlan, RangePlan
from ..layout import Form
from ..source.formats.block_cache import BlockCache, panel
from ..wire.codec import binary_dtype, stored_dtype
from .chunk_cache import MAX_BYTES, ChunkCache, LoadChunks
from .snapshot import Snapshot

MAX_LAYER_BYTES: Final = MAX_BYTES // 2
"""Bytes of a layer of chunks up to which it is kept in memory."""

READING_THREADS: Final = 3
"""Threads that read chunks ahead into the temporary file."""


class CopySource:
    """A stored wavefunction as a source: `load` yields its chunks. Several threads may read it at once.

    It names the original's source, with its fingerprint. If values went through another codec on
    the way, that source would not yield them, so the fingerprint says through which. `copied["copy_of"]` says
    what is copied, with a digest of its values: that decides whether a copy can be resumed.
    """

    def __init__(
        self, manifest: Manifest, forms: Sequence[Form], copied: Mapping[str, str], load: LoadChunks
    ) -> None:
        own, codec = manifest.form.codec, forms[0].codec
        exact = codec == own or binary_dtype(own) == np.dtype("<c16")
        self._fingerprint = manifest.fingerprint if exact else f"through {own}: {manifest.fingerprint}"
        self._manifest = manifest
        self._cache = ChunkCache(plan=manifest.plan, dtype=stored_dtype(own), load=load)
        self._layer = None if all(form.plan == manifest.plan for form in forms) else self._large_layer()
        self.copied = copied
        self.parallel = self._layer is None

    @classmethod
    def of_snapshot(cls, snapshot: Snapshot, forms: Sequence[Form]) -> CopySource:
        """That of a wavefunction on a server, to be stored in one of these forms, all of one codec.

        Its store must be open on the running loop.
        """
        token = anyio.lowlevel.current_token()

        async def read(chunks: Sequence[int]) -> list[NDArray[Any]]:
            values: dict[int, NDArray[Any]] = {}

            async def read_one(chunk: int) -> None:
                values[chunk] = await snapshot.read(chunk)

            await in_parallel(read_one, chunks, snapshot.readers)
            return [values[chunk] for chunk in chunks]

        def load(chunks: Sequence[int]) -> list[NDArray[Any]]:
            return anyio.from_thread.run(read, chunks, token=token)

        return cls(snapshot.manifest, forms, {"copy_of": snapshot.identity}, load)

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
        return self._cache.read(box) if self._layer is None else self._layer.read(box, self._cache.read)

    def fingerprint(self) -> str:
        return self._fingerprint

    def close(self) -> None:
        """Close the temporary file, if there is one. It waits for what is being read, so not on the event loop."""
        if self._layer is not None:
            self._layer.close()

    def _large_layer(self) -> BlockCache | None:
        """The cache of a layer of chunks that is too large for memory; None if it is not."""
        plan, itemsize = self._manifest.plan, self._cache.dtype.itemsize
        if (
            isinstance(plan, RangePlan)
            or itemsize * math.prod(panel(plan.shape, plan.chunk, plan.order)) <= MAX_LAYER_BYTES
        ):
            return None
        return BlockCache.of(plan.shape, plan.chunk, plan.order, itemsize, threads=READING_THREADS)
