"""Verification: stored chunks read back, and compared by digest with the journal."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import anyio.to_thread
import numpy as np

from ..codec import digest
from ..errors import DamagedData, Refused
from ..layout import Layout
from ..load import read_journal
from ..manifest import JournalEntry, Keys
from ..plan import Chunk, Plan
from ..reading import read_box
from ..server.connection import Pool
from ..store import Store


async def verify(store: Store, name: str) -> list[int]:
    """Read a stored wavefunction back: the numbers of the chunks that are not as they were written, sorted.

    A chunk that the journal lacks counts as one. Raises InvalidInput if there is no such
    name, DamagedData if its journal cannot be read, and Refused if it was replaced meanwhile.
    """
    psi = await store.open(name)
    manifest = psi.manifest
    keys = Keys(prefix=store.settings.prefix, name=name)
    entries = await read_journal(store.pool, keys, manifest)
    layout = manifest.form.open(keys.base(manifest.generation))
    differing = await differing_chunks(
        store.pool, layout, manifest.form.codec, manifest.plan, entries, readers=store.settings.writers
    )
    lacking = [number for number in range(len(manifest.plan)) if number not in entries]
    if (differing or lacking) and (await store.open(name)).manifest.generation != manifest.generation:
        raise Refused(f"{name} was replaced while it was verified: verify it again")
    return sorted([*differing, *lacking])


async def differing_chunks(
    pool: Pool, layout: Layout, codec: str, plan: Plan, entries: Mapping[int, JournalEntry], *, readers: int
) -> list[int]:
    """The numbers of the chunks whose stored values are not those of the journal, sorted.

    A chunk with a missing or malformed value differs. Reads with `readers` tasks, each of
    which holds one chunk. Raises ServerUnavailable or Refused if it cannot be read.
    """
    waiting = iter(sorted(entries))
    differing = []

    async def read() -> None:
        for number in waiting:  # shared by the tasks: each takes the next one
            if await _digest_of(pool, layout, codec, plan[number]) != entries[number].digest:
                differing.append(number)  # noqa: PERF401 # a comprehension would not share the work

    async with anyio.create_task_group() as tasks:
        for _ in range(readers):
            tasks.start_soon(read)
    return sorted(differing)


async def _digest_of(pool: Pool, layout: Layout, codec: str, chunk: Chunk) -> int | None:
    """The digest of a chunk's stored values; None if one is missing or malformed."""
    try:
        pieces = [(await read_box(pool, layout, box)).reshape(-1) for box in chunk.boxes]
    except DamagedData:
        return None
    return await anyio.to_thread.run_sync(digest, codec, np.concatenate(pieces))
