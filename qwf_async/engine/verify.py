"""Verification: stored chunks read back, and compared by digest with the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anyio
import anyio.to_thread
import numpy as np

from ..codec import digest
from ..errors import DamagedData, InvalidInput, Refused
from ..layout import Layout
from ..load import read_journal
from ..manifest import JournalEntry, Keys, Manifest
from ..plan import Chunk, Plan
from ..reading import in_parallel, read_box
from ..server.connection import Pool
from ..source.base import Source
from ..store import Store
from .producer import Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The numbers of chunks, sorted: `differing` from what they were compared with, `changed` on purpose since."""

    chunks: int
    differing: list[int]
    changed: list[int]


async def verify(
    store: Store,
    name: str,
    source: Source | None = None,
    *,
    done: Callable[[int], object] = lambda points: None,
) -> Verification:
    """Read a stored wavefunction back, and compare each chunk with the digest of what was written.

    A chunk that the journal lacks differs; one that was changed on purpose does only if a
    value is missing or malformed. With a source, each chunk is compared with what that
    yields, in the form of the codec. `done` is told the points of each chunk when it was read.
    Raises InvalidInput if there is no such name, or if the source cannot be read or has
    another shape; DamagedData if the journal cannot be read; Refused if the wavefunction was
    replaced meanwhile.
    """
    psi = await store.open(name)
    manifest = psi.manifest
    keys = Keys(prefix=store.settings.prefix, name=name)
    entries = await read_journal(store.pool, keys, manifest)
    layout = manifest.form.open(keys.base(manifest.generation))
    if source is not None:
        differing = await _unlike(store, manifest, layout, source, done)
        changed = sorted(number for number, entry in entries.items() if entry.digest is None)
        if differing:
            await _check_current(store, name, manifest)
        return Verification(chunks=len(manifest.plan), differing=differing, changed=changed)
    differing = await differing_chunks(
        store.pool,
        layout,
        manifest.form.codec,
        manifest.plan,
        entries,
        readers=store.settings.writers,
        done=done,
    )
    # A chunk may have been marked and changed after the journal was read.
    now = await read_journal(store.pool, keys, manifest)
    changed = sorted(number for number, entry in now.items() if entry.digest is None)
    fresh = [n for n in differing if n in changed and n in entries and entries[n].digest is not None]
    if fresh:
        marked = {n: now[n] for n in fresh}
        still = await differing_chunks(
            store.pool, layout, manifest.form.codec, manifest.plan, marked, readers=store.settings.writers
        )
        differing = [n for n in differing if n not in fresh or n in still]
    lacking = [number for number in range(len(manifest.plan)) if number not in entries]
    if differing or lacking:
        await _check_current(store, name, manifest)
    return Verification(chunks=len(manifest.plan), differing=sorted([*differing, *lacking]), changed=changed)


async def _check_current(store: Store, name: str, manifest: Manifest) -> None:
    if (await store.open(name)).manifest.generation != manifest.generation:
        raise Refused(f"{name} was replaced while it was verified: verify it again")


async def _unlike(
    store: Store, manifest: Manifest, layout: Layout, source: Source, done: Callable[[int], object]
) -> list[int]:
    """The numbers of the chunks whose stored values are not those of the source, sorted."""
    if source.grid.shape != manifest.grid.shape:
        raise InvalidInput(
            f"{source.spec} has the shape {source.grid.shape} as t, x, y, z; "
            f"what is stored has {manifest.grid.shape}"
        )
    codec, plan = manifest.form.codec, manifest.plan
    encoder = Encoder(source=source, plan=plan, layout=layout, codec=codec, allow_nonfinite=True)
    one_at_a_time = anyio.CapacityLimiter(1)  # a source promises no more
    differing = []

    async def compare(number: int) -> None:
        wanted = await anyio.to_thread.run_sync(encoder.batch, number, limiter=one_at_a_time)
        if await _digest_of(store.pool, layout, codec, plan[number]) != wanted.digest:
            differing.append(number)
        done(plan[number].points)

    await in_parallel(compare, range(len(plan)), store.settings.writers)
    return sorted(differing)


async def differing_chunks(
    pool: Pool,
    layout: Layout,
    codec: str,
    plan: Plan,
    entries: Mapping[int, JournalEntry],
    *,
    readers: int,
    done: Callable[[int], object] = lambda points: None,
) -> list[int]:
    """The numbers of the chunks whose stored values are not those of the journal, sorted.

    A chunk with a missing or malformed value differs; of a stale one nothing else is asked.
    Reads with `readers` tasks, each of which holds one chunk. Raises ServerUnavailable or
    Refused if it cannot be read.
    """
    waiting = iter(sorted(entries))
    differing = []

    async def read() -> None:
        for number in waiting:  # shared by the tasks: each takes the next one
            found, written = await _digest_of(pool, layout, codec, plan[number]), entries[number].digest
            if found is None or (written is not None and found != written):
                differing.append(number)
            done(plan[number].points)

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
