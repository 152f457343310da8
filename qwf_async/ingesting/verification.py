"""Verification: stored chunks are read back, and compared by digest with the journal or with a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import anyio.to_thread
import numpy as np

from ..catalog.journal import JournalEntry, read_journal
from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..checked import checked
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..errors import DamagedData, InvalidInput, Refused
from ..lattice.grid import AXIS_NAMES
from ..lattice.plan import Plan, c_index
from ..layout import Layout
from ..source.base import Source
from ..store.reading import read_box
from ..store.store import Store
from ..wire.codec import digest
from .producer import Encoder

DifferenceKind = Literal["differs", "missing", "unrecorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A chunk that is not as it should be.

    `what`: its values are others ("differs"), one of them is missing or malformed
    ("missing"; `detail` names the first, by key and field), or the journal lacks the
    digest of the chunk ("unrecorded"). `start` and `stop` are its box, half open, along t,
    x, y, z; of layout packed, whose chunks are no boxes, the numbers of its points in C order.
    """

    chunk: int
    what: DifferenceKind
    detail: str | None
    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def place(self) -> str:
        """Where its points are, in words."""
        if len(self.start) == 1:
            return f"points {self.start[0]}:{self.stop[0]} in C order"
        axes = zip(AXIS_NAMES, self.start, self.stop, strict=True)
        return " ".join(f"{name} {start}:{stop}" for name, start, stop in axes)

    def to_json(self) -> dict[str, Any]:
        names = ("point",) if len(self.start) == 1 else AXIS_NAMES
        ends = {n: [a, b] for n, a, b in zip(names, self.start, self.stop, strict=True)}
        return {"chunk": self.chunk, "what": self.what, "detail": self.detail, "place": ends}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result: `differences`, and the numbers of the chunks that were `changed` on purpose afterwards."""

    chunks: int
    differences: list[Difference]
    changed: list[int]

    @property
    def differing(self) -> list[int]:
        """The numbers of the chunks that are not as they should be, sorted."""
        return [difference.chunk for difference in self.differences]


@checked
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
    replaced meanwhile, or the server refuses; ServerUnavailable if it stays away.
    """
    psi = await store.open(name)
    manifest = psi.manifest
    keys = Keys(prefix=store.settings.prefix, name=name)
    entries = await read_journal(store.pool, keys, manifest)
    layout = manifest.form.open(keys.base(manifest.generation))
    if source is not None:
        differences = await _differing_from_source(store, manifest, layout, source, done)
        changed = _changed(entries)
    else:
        differences, changed = await _differing_from_journal(store, keys, manifest, layout, entries, done)
    if differences and (await store.open(name)).manifest.generation != manifest.generation:
        raise Refused(f"{name} was replaced while it was verified: verify it again")
    return Verification(chunks=len(manifest.plan), differences=differences, changed=changed)


def _changed(entries: Mapping[int, JournalEntry]) -> list[int]:
    return sorted(number for number, entry in entries.items() if entry.digest is None)


async def _differing_from_journal(
    store: Store,
    keys: Keys,
    manifest: Manifest,
    layout: Layout,
    entries: Mapping[int, JournalEntry],
    done: Callable[[int], object],
) -> tuple[list[Difference], list[int]]:
    """The differences from the journal, sorted, and the chunks that were changed on purpose."""
    plan, codec, readers = manifest.plan, manifest.form.codec, store.settings.writers
    differences = await _differences(store.pool, layout, codec, plan, entries, readers=readers, done=done)
    # A chunk may have been marked and changed after the journal was read.
    now = await read_journal(store.pool, keys, manifest)
    changed = _changed(now)
    fresh = {n: now[n] for n in differences if n in changed and entries[n].digest is not None}
    still = await _differences(store.pool, layout, codec, plan, fresh, readers=readers)
    for number in fresh:
        del differences[number]
    for number in range(len(plan)):
        if number not in entries:
            differences[number] = _difference(plan, number, "unrecorded")
    differences |= still
    return [differences[number] for number in sorted(differences)], changed


async def _differing_from_source(
    store: Store, manifest: Manifest, layout: Layout, source: Source, done: Callable[[int], object]
) -> list[Difference]:
    """The differences from the source, sorted."""
    if source.grid.shape != manifest.grid.shape:
        raise InvalidInput(
            f"{source.spec} has the shape {source.grid.shape} as t, x, y, z; "
            f"what is stored has {manifest.grid.shape}"
        )
    codec, plan = manifest.form.codec, manifest.plan
    encoder = Encoder(source=source, plan=plan, layout=layout, codec=codec, allow_nonfinite=True)
    one_at_a_time = anyio.CapacityLimiter(1)  # a source promises no more
    differences = {}

    async def compare(number: int) -> None:
        batch = await anyio.to_thread.run_sync(encoder.batch, number, limiter=one_at_a_time)
        if difference := await _compared(store.pool, layout, codec, plan, number, batch.digest):
            differences[number] = difference
        done(plan[number].points)

    await in_parallel(compare, range(len(plan)), store.settings.writers)
    return [differences[number] for number in sorted(differences)]


async def differing_chunks(
    pool: Pool,
    layout: Layout,
    codec: str,
    plan: Plan,
    entries: Mapping[int, JournalEntry],
    *,
    readers: int,
    done: Callable[[int], object],
) -> list[int]:
    """The numbers of the chunks whose stored values are not those of the journal, sorted.

    A chunk with a missing or malformed value differs. A stale chunk may have any values.
    Reads with `readers` tasks, each of which holds one chunk. `done` is told the points of each
    chunk. Raises ServerUnavailable or Refused if it cannot be read.
    """
    return sorted(await _differences(pool, layout, codec, plan, entries, readers=readers, done=done))


async def _differences(
    pool: Pool,
    layout: Layout,
    codec: str,
    plan: Plan,
    entries: Mapping[int, JournalEntry],
    *,
    readers: int,
    done: Callable[[int], object] = lambda points: None,
) -> dict[int, Difference]:
    """The differences from the journal, by the number of the chunk."""
    differences = {}

    async def read(number: int) -> None:
        if difference := await _compared(pool, layout, codec, plan, number, entries[number].digest):
            differences[number] = difference
        done(plan[number].points)

    await in_parallel(read, sorted(entries), readers)
    return differences


async def _compared(
    pool: Pool, layout: Layout, codec: str, plan: Plan, number: int, expected: int | None
) -> Difference | None:
    """How a chunk differs, or None: its values must be there, and have the digest that is `expected`, if one is."""
    try:
        pieces = [(await read_box(pool, layout, box)).reshape(-1) for box in plan[number].boxes]
    except DamagedData as error:
        return _difference(plan, number, "missing", str(error))
    if expected is None or await anyio.to_thread.run_sync(digest, codec, np.concatenate(pieces)) == expected:
        return None
    return _difference(plan, number, "differs")


def _difference(plan: Plan, number: int, what: DifferenceKind, detail: str | None = None) -> Difference:
    chunk = plan[number]
    start: tuple[int, ...] = chunk.boxes[0].start
    stop: tuple[int, ...] = chunk.boxes[-1].stop
    if chunk.flat:
        first = c_index(plan.shape, chunk.boxes[0].start)
        start, stop = (first,), (first + chunk.points,)
    return Difference(chunk=number, what=what, detail=detail, start=start, stop=stop)
