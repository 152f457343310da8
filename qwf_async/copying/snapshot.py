"""A stored wavefunction as it is at one moment: its generation, and the digest of the values of every chunk.

Whatever is read of it later is compared with its digest. So a copy is that of the moment, or it is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import anyio.to_thread
import numpy as np
import xxhash
from numpy.typing import NDArray

from ..catalog.journal import read_journal
from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..catalog.still_published import is_published
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..errors import DamagedData, InvalidInput
from ..lattice.grid import Box
from ..lattice.plan import RangePlan
from ..layout import Layout
from ..store.reading import read_box
from ..store.store import Store
from ..wire.codec import digest
from ..wording import phrase


class ChangedMeanwhile(InvalidInput):
    """A wavefunction was replaced, removed or changed while it was read: to read it again is the cure."""


class NotThere(InvalidInput):
    """There is no wavefunction of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is published under a name: `digests` has the xxh3-64 of the stored values of each chunk, uint64.

    `stale` are the chunks that were changed on purpose before; the journal says nothing of them. Values are read
    from `values_pool`, which may be that of replicas.
    """

    pool: Pool
    values_pool: Pool
    keys: Keys
    manifest: Manifest
    digests: NDArray[np.uint64]
    stale: frozenset[int]
    readers: int

    @property
    def content(self) -> str:
        """The digest of all values: 16 hex digits."""
        return content_of(self.digests)

    @property
    def identity(self) -> str:
        """The name, the generation and a digest of all values: the same if, and only if, all of that is the same."""
        return f"{self.keys.name} {self.manifest.generation} {self.content}"

    @classmethod
    async def take(cls, store: Store, name: str) -> Snapshot:
        """What is published under a name now.

        Only chunks that were changed on purpose are read for it. Raises NotThere if there is no such name,
        DamagedData if the journal lacks a chunk, ChangedMeanwhile, Refused or ServerUnavailable.
        """
        try:
            manifest = (await store.open(name)).manifest
        except InvalidInput as error:
            raise NotThere(str(error)) from error
        keys = Keys(prefix=store.settings.prefix, name=name)
        entries = await read_journal(store.pool, keys, manifest)
        missing = set(range(len(manifest.plan))) - entries.keys()
        if missing:
            if not await is_published(store.pool, keys, manifest.generation):
                raise _changed(name)
            raise DamagedData(f"{len(missing)} chunks of {name} are not in its journal: {_verify(name)}")
        digests = np.array([entries[chunk].digest or 0 for chunk in range(len(entries))], dtype=np.uint64)
        stale = frozenset(chunk for chunk, entry in entries.items() if entry.digest is None)
        snapshot = cls(
            pool=store.pool,
            values_pool=store.pool.from_replicas if store.settings.read_from == "replica" else store.pool,
            keys=keys,
            manifest=manifest,
            digests=digests,
            stale=stale,
            readers=store.settings.writers,
        )
        await snapshot._digest(stale)
        return snapshot

    async def check_unchanged(self) -> None:
        """Raises ChangedMeanwhile if it is not published any more, or any value is another than it was.

        No replica is asked: it may be behind.
        """
        now = await read_journal(self.pool, self.keys, self.manifest)
        fresh = {chunk: entry.digest for chunk, entry in now.items() if chunk not in self.stale}
        if len(now) < len(self.digests) or any(self.digests[chunk] != fresh[chunk] for chunk in fresh):
            raise _changed(self.keys.name)

        primary = replace(self, values_pool=self.pool)

        async def check(chunk: int) -> None:
            await primary.read(chunk)

        await in_parallel(check, sorted(self.stale), self.readers)
        if not await is_published(self.pool, self.keys, self.manifest.generation):
            raise _changed(self.keys.name)

    async def read(self, chunk: int) -> NDArray[Any]:
        """The values of a chunk, of its shape and in the dtype of the codec, as they were at the moment.

        Raises ChangedMeanwhile if they are others by now, DamagedData if a value is missing or not what
        was written, Refused or ServerUnavailable.
        """
        values, found = await self._values(chunk)
        if found == self.digests[chunk]:
            return values
        entry = (await read_journal(self.pool, self.keys, self.manifest)).get(chunk)
        if entry is None or entry.digest is None:
            raise _changed(self.keys.name)
        name = self.keys.name
        raise DamagedData(f"chunk {chunk} of {name} is not what was written: {_verify(name)}")

    async def _digest(self, chunks: Iterable[int]) -> None:
        async def digest_of(chunk: int) -> None:
            self.digests[chunk] = (await self._values(chunk))[1]

        await in_parallel(digest_of, sorted(chunks), self.readers)

    async def _values(self, chunk: int) -> tuple[NDArray[Any], int]:
        """The values of a chunk, and their digest now."""
        manifest = self.manifest
        layout: Layout = manifest.form.open(self.keys.base(manifest.generation))
        piece, plan = manifest.plan[chunk], manifest.plan
        try:
            if isinstance(plan, RangePlan) and layout.in_line is not None:
                start = chunk * plan.length
                row = Box(start=(0, 0, 0, start), stop=(1, 1, 1, start + piece.points))
                values = (await read_box(self.values_pool, layout.in_line, row)).reshape(-1)
            else:
                values = await read_box(self.values_pool, layout, piece.box)
        except DamagedData as error:
            if not await is_published(self.pool, self.keys, manifest.generation):
                raise _changed(self.keys.name) from error
            raise
        return values, await anyio.to_thread.run_sync(digest, manifest.form.codec, values)


def content_of(digests: NDArray[np.uint64]) -> str:
    """A digest of the digests of all chunks: 16 hex digits."""
    return xxhash.xxh3_64_hexdigest(digests.astype("<u8").tobytes())


def _changed(name: str) -> ChangedMeanwhile:
    return ChangedMeanwhile(f"{name} was replaced, removed or changed while it was read: do it again")


def _verify(name: str) -> str:
    """The advice to look for all that is damaged."""
    return phrase(
        command_line=f"'qwf verify {name}' finds all that is damaged",
        python=f"verify(store, {name!r}) finds all",
    )
