"""What a source would take in each layout and codec: a sample is stored, measured and removed.

A sample has a name of its own, and its generation is in the trash before its first key is
written. So `qwf clean` and the watchdog find what a killed process left. Memory does not grow
quite linearly (tables double), so what was measured is scaled by the model of
`layout.hash_memory`. The sample is of the first frames: a source that computes each from the one
before has no others to compute for it. Only the length of text10 depends on the values.

Time is scaled by points. It holds for a
machine as busy as it was in the second that a sample took. A busy machine lets short work pass,
so for the quick layouts it is a lower bound. Measured with 1 to 8 million points on Valkey 9
and Redis 7, the bytes were right within 2 %. On two cores with a load of
20, the seconds were 0.4 to 1.6 of what an ingest then took for flat (median 0.9). For packed
and tile they were 0.2 to 1.0 of it (median 0.4).

Not covered: the tenth of a second that any ingest takes, the journal (100 bytes a chunk), the
buffers of clients, what a source computes before its first frame (eigenstates), and a source whose
speed differs from place to place.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..catalog.cleaning import sweep, unlink_groups
from ..catalog.index import leave
from ..catalog.key_memory import sampled_bytes, spread_keys
from ..catalog.keys import Keys, new_generation
from ..catalog.scripts import announce, enter
from ..checked import checked
from ..client.evenness import even_generation
from ..client.parallel import in_parallel
from ..client.reply import is_number, is_text_or_none
from ..errors import OutOfMemory, QwfError
from ..events import Event
from ..lattice.grid import Box, Grid, Shape3, Shape4, shape4
from ..lattice.plan import BoxPlan
from ..layout import LAYOUTS, Form, Layout
from ..source.array import array
from ..source.base import Source
from ..store.store import Store
from ..wire.batch import Batch
from ..wire.codec import CODECS
from .opening import opened
from .producer import Encoder, source_values
from .room import rooms_of, shares_of
from .sink import ServerSink, writing_to
from .write_mode import choose_restore

SAMPLE_POINTS: Final = 262_144
"""Points of a sample, about: 2 to 30 MB on the server for a second."""

SAMPLE_LOADS: Final = 3
"""Times that a sample is loaded; the median counts."""

UNCOUNTED: Final = 8
"""Bytes of an entry of a hash table that Redis leaves out of MEMORY USAGE.

MEMORY USAGE adds the size of a dictEntry, 24 bytes, for which jemalloc takes 32. Source: `objectComputeSize`
of `object.c`, Redis 7.
"""

MAX_REMOVAL_TIME: Final = 5.0
"""Seconds that the removal of a sample may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One way to store a source: `bytes` in the end, `peak_bytes` at most on the way.

    `fullest_bytes` are those on the fullest node of a cluster in the end, or all on one server.
    `seconds` are what the ingest will take at least. `fits` says whether the peak stays below the
    high watermark, on every node; None if no limit is known.
    """

    layout: str
    codec: str
    bytes: int
    peak_bytes: int
    fullest_bytes: int
    bytes_per_point: float
    seconds: float
    fits: bool | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@checked
async def estimate(
    source: Any,
    store: Store,
    *,
    grid: Grid | None = None,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
    tile: Shape3 | None = None,
) -> list[Estimate]:
    """What the source would take in each layout with each codec that goes with it.

    All parameters are as for `ingest`. A codec that cannot hold the sample's values is left out.
    Raises InvalidInput if the source cannot be read, OutOfMemory if there is no room for a
    sample, Refused if the server forbids MEMORY, and ServerUnavailable.
    """
    async with opened(source, store, grid, dims=dims, box=box, dt=dt) as psi:
        return await _estimate(psi, store, tile)


async def _estimate(source: Source, store: Store, tile: Shape3 | None) -> list[Estimate]:
    shape = source.grid.shape
    box = _sampled(shape, tile)
    psi, read_seconds = await anyio.to_thread.run_sync(_read, source, box)
    rooms = await rooms_of(store)
    facts = await store.facts()
    software = facts[0].software if len({one.software for one in facts}) == 1 else None
    counts_all = all(
        one.software != "redis" or not (one.allocator or "").startswith("jemalloc") for one in facts
    )
    uncounted = 0 if counts_all else UNCOUNTED
    results = []
    for name, layout in LAYOUTS.items():
        for codec in CODECS:
            if codec not in layout.codecs:
                continue
            if codec == "c8" and np.abs(psi.view(psi.real.dtype)).max() > np.finfo(np.float32).max:
                continue
            form = _form(name, codec, shape, tile)
            sample = Form.of(layout=name, codec=codec, shape=box.shape, tile=form.tile)
            measured = await _measured(store, sample, psi, uncounted)
            way = measured.by_restore
            ratio = measured.bytes / sample.predicted_bytes(software, peak=False, by_restore=way)
            final = int(ratio * form.predicted_bytes(software, peak=False, by_restore=way))
            peak = max(final, int(ratio * form.predicted_bytes(software, by_restore=way)))
            times = source.grid.points / box.points
            writing = measured.seconds * times
            shares = shares_of(store.pool, _drawn(store, form), form)
            results.append(
                Estimate(
                    layout=name,
                    codec=codec,
                    bytes=final,
                    peak_bytes=peak,
                    fullest_bytes=int(final * max(shares.values())),
                    bytes_per_point=final / source.grid.points,
                    seconds=max(read_seconds + measured.encoding * times, writing),
                    fits=all(shares.get(node, 0) * peak <= room for node, room in rooms.items())
                    if rooms
                    else None,
                )
            )
    return results


def _drawn(store: Store, form: Form) -> bytes:
    """The beginning of the keys of a generation of this form that is drawn as for an ingest."""
    generation = even_generation(new_generation, store.pool.table, np.arange(form.groups))
    return Keys(prefix=store.settings.prefix, name="estimate").base(generation)


def _form(layout: str, codec: str, shape: Shape4, tile: Shape3 | None) -> Form:
    """A form of the layout, with these tiles if it has tiles."""
    has_tiles = LAYOUTS[layout].default_tile(shape) is not None
    return Form.of(layout=layout, codec=codec, shape=shape, tile=tile if has_tiles else None)


def _sampled(shape: Shape4, tile: Shape3 | None) -> Box:
    """A box of whole tiles, or of the whole grid along an axis: of the first frames, in the middle of space."""
    grains = [_form(name, layout.codecs[0], shape, tile).scheme.grain for name, layout in LAYOUTS.items()]
    unit = shape4(map(max, zip(*grains, strict=True)))
    size = BoxPlan.cut(shape, points=SAMPLE_POINTS, unit=unit).chunk
    start = shape4((0, *((n - m) // 2 for n, m in zip(shape[1:], size[1:], strict=True))))
    return Box(start=start, stop=shape4(a + m for a, m in zip(start, size, strict=True)))


def _read(source: Source, box: Box) -> tuple[NDArray[Any], float]:
    """The values of the box, and the seconds that it will take to read the whole source.

    They are those of the same box in the frames that come next, where there are some: the
    first frame of a time evolution is no work. Of a box that is a part of its frame, what
    it takes more than another box of the frame that is read after it is counted once a frame.
    """
    shape = source.grid.shape

    def timed(box: Box) -> tuple[NDArray[Any], float]:
        begun = time.perf_counter()
        values = np.ascontiguousarray(source_values(source, box, sample=True))
        return values, time.perf_counter() - begun

    psi, first = timed(box)
    frames, later = box.shape[0], min(box.shape[0], shape[0] - box.shape[0])
    if later:
        box = Box(start=(later, *box.start[1:]), stop=(later + frames, *box.stop[1:]))
        first = timed(box)[1]
    times = source.grid.points / box.points
    if box.points == frames * source.grid.frame_points:
        return psi, first * times
    again = timed(Box(start=(box.start[0], 0, 0, 0), stop=(box.stop[0], *box.shape[1:])))[1]
    return psi, again * times + max(0, first - again) * shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """Memory of a sample in bytes; seconds that it took to load, and those of them that went into encoding.

    `by_restore` says whether it was written by RESTORE.
    """

    bytes: float
    seconds: float
    encoding: float
    by_restore: bool


async def _measured(store: Store, form: Form, psi: NDArray[Any], uncounted: int) -> _Measured:
    generation = new_generation()
    keys = Keys(prefix=store.settings.prefix, name=f"estimate.{generation}")
    base = keys.base(generation)
    restore = await choose_restore(store.pool, base, form, "auto", _ignore)
    layout = form.open(base, by_restore=restore)
    async with _expendable(store, keys, generation, form):
        loads = []
        for _ in range(SAMPLE_LOADS):  # into no hashes each time: those that are there take a load otherwise
            await unlink_groups(store.pool, keys, generation, form, store.settings.clean_batch)
            loads.append(await _load(store, form, layout, psi))
        seconds, encoding = sorted(loads)[SAMPLE_LOADS // 2]
        sizes = await sampled_bytes(store.pool, spread_keys(form, base), fields=0, doing="measuring a sample")
        if None in sizes:
            raise OutOfMemory("the sample was evicted or cleaned away as it was measured: there is no room")
        sampled, used = len(sizes), float(sum(size or 0 for size in sizes))
        first = next(iter(layout.keys(0)))
        if (
            uncounted
            and await store.pool.call("OBJECT", "ENCODING", first, expect=is_text_or_none) == b"hashtable"
        ):
            used += uncounted * layout.counts.fields * sampled / layout.counts.keys
    return _Measured(
        bytes=used * layout.counts.keys / sampled, seconds=seconds, encoding=encoding, by_restore=restore
    )


async def _load(store: Store, form: Form, layout: Layout, psi: NDArray[Any]) -> tuple[float, float]:
    """Load a sample as an ingest does: one chunk is encoded at a time, several are written at once.

    Returns the seconds that it took, and those of them that went into encoding.
    """
    encoder = Encoder(
        source=array(psi), plan=form.plan, layout=layout, codec=form.codec, allow_nonfinite=True
    )
    sink, one_at_a_time = ServerSink(writing_to(store.pool)), anyio.CapacityLimiter(1)
    encoding = 0.0

    def encoded(number: int) -> Batch:
        nonlocal encoding
        begun = time.perf_counter()
        batch = encoder.batch(number)
        encoding += time.perf_counter() - begun
        return batch

    async def write(number: int) -> None:
        await sink.write(await anyio.to_thread.run_sync(encoded, number, limiter=one_at_a_time))

    begun = time.perf_counter()
    await in_parallel(write, range(len(encoder.plan)), store.settings.writers)
    return time.perf_counter() - begun, encoding


@asynccontextmanager
async def _expendable(store: Store, keys: Keys, generation: str, form: Form) -> AsyncIterator[None]:
    """Run the body with the generation in the trash, and remove its keys at the end."""
    pool = store.pool
    try:
        await announce(pool, keys)
        await pool.call(
            "HSET", keys.trash, generation, json.dumps(form.to_json()),
            expect=is_number, doing=f"writing {keys.trash}",
        )  # fmt: skip
        await enter(pool, keys, generation)
        yield
    finally:
        # If the server is away, the sample is lost with it, or is found in the trash later.
        with anyio.move_on_after(MAX_REMOVAL_TIME, shield=True), suppress(QwfError):
            await sweep(pool, keys, batch=store.settings.clean_batch)
            await leave(pool, keys)


def _ignore(event: Event) -> None:
    """Drop what the probe for RESTORE notes: an estimate does not tell it."""
