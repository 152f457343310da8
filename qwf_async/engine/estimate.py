"""What a source would take in each layout and codec: a sample is stored, measured and removed.

A sample is a generation in the trash from before its first key is written, under a name of
its own: `qwf clean` and the watchdog find what a killed process left. Memory does not grow
quite linearly (tables double), so what was measured is scaled by the model of
`layout.size`. Time is scaled as it is: a flat hash of millions of fields does not fit the
processor's cache as that of the sample does, and takes up to three times as long a point.
Not covered: the journal (100 bytes a chunk), the buffers of clients, and a source whose
speed differs from place to place.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..cleaning import sweep
from ..codec import CODECS
from ..errors import OutOfMemory, QwfError, Refused
from ..grid import Box, Shape4, shape4
from ..index import announce, enter, leave
from ..layout import LAYOUTS, Form, Layout
from ..layout.size import counted, predicted_bytes
from ..layout.tile import Shape3, default_tile
from ..manifest import Keys, new_generation
from ..plan import BoxPlan
from ..reading import in_parallel
from ..server.pool import until_available
from ..server.reply import is_number, is_number_or_none
from ..source.array import array
from ..source.base import Source
from ..store import Store
from ..wire.batch import Batch
from .events import Event
from .producer import Encoder
from .sink import ServerSink
from .write_mode import choose_restore

SAMPLE_POINTS: Final = 262_144
"""Points of a sample, about: 2 to 30 MB on the server for a second."""

MEASURED_KEYS: Final = 64
"""Keys of a sample whose memory is asked for; they are alike."""

TIDY_TIME: Final = 5.0
"""Seconds that the removal of a sample may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One way to store a source: `bytes` in the end, `peak_bytes` at most on the way, `seconds` for the ingest.

    `fits` says whether the peak stays below the high watermark; None if the limit is not known.
    """

    layout: str
    codec: str
    bytes: int
    peak_bytes: int
    bytes_per_point: float
    seconds: float
    fits: bool | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def estimate(source: Source, store: Store, *, tile: Shape3 | None = None) -> list[Estimate]:
    """What the source would take in each layout with each codec that goes with it.

    `tile` is as for an ingest. A codec that cannot hold the sample's values is left out.
    Raises InvalidInput if the source cannot be read, OutOfMemory if there is no room for a
    sample, Refused if the server forbids MEMORY, and ServerUnavailable.
    """
    shape = source.grid.shape
    box = _middle(shape, tile or default_tile(shape))
    whole = BoxPlan(shape=shape, chunk=box.shape)
    reader = Encoder(source=source, plan=whole, layout=Form(layout="flat", codec="c16", shape=shape).open(b""),
                     codec="c16", allow_nonfinite=True)  # fmt: skip
    begun = time.perf_counter()
    psi = np.ascontiguousarray(await anyio.to_thread.run_sync(reader.values, box))
    read_seconds = time.perf_counter() - begun
    try:
        memory = await until_available(store.memory, store.settings.deadline)
    except Refused:
        memory = None
    software = (await store.facts()).software
    results = []
    for layout in LAYOUTS:
        for codec in CODECS:
            if layout != "flat" and codec == "text10":
                continue
            if codec == "c8" and np.abs(psi.view(psi.real.dtype)).max() > np.finfo(np.float32).max:
                continue
            shaped = tile if layout == "tile" else None
            form = Form(layout=layout, codec=codec, shape=shape, tile=shaped)
            sample = Form(layout=layout, codec=codec, shape=box.shape, tile=form.tile)
            measured = await _measured(store, sample, psi)
            ratio = measured.bytes / predicted_bytes(sample, software, peak=False)
            final = int(ratio * predicted_bytes(form, software, peak=False))
            peak = max(final, int(ratio * predicted_bytes(form, software)))
            seconds = max(read_seconds + measured.encoding, measured.seconds)
            room = None if memory is None else memory.room(store.settings.high_watermark)
            results.append(
                Estimate(
                    layout=layout,
                    codec=codec,
                    bytes=final,
                    peak_bytes=peak,
                    bytes_per_point=final / source.grid.points,
                    seconds=seconds * source.grid.points / box.points,
                    fits=None if room is None else peak <= room,
                )
            )
    return results


def _middle(shape: Shape4, tile: Shape3) -> Box:
    """A box of whole tiles, or of the whole grid along an axis, in the middle of the grid."""
    size = BoxPlan.cut(shape, points=SAMPLE_POINTS, unit=(1, *tile)).chunk
    start = shape4((n - m) // 2 for n, m in zip(shape, size, strict=True))
    return Box(start=start, stop=shape4(a + m for a, m in zip(start, size, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """Memory of a sample in bytes; seconds that it took to load, and those of them that went into encoding."""

    bytes: float
    seconds: float
    encoding: float


async def _measured(store: Store, form: Form, psi: NDArray[Any]) -> _Measured:
    generation = new_generation()
    keys = Keys(prefix=store.settings.prefix, name=f"estimate.{generation}")
    base = keys.base(generation)
    restore = await choose_restore(store.pool, base, form, "auto", _unheard)
    layout = form.open(base, by_restore=restore)
    async with _expendable(store, keys, generation, form):
        seconds, encoding = await _load(store, form, layout, psi)
        sampled, used = min(counted(form).keys, MEASURED_KEYS), 0
        for key in islice(layout.keys(), sampled):
            found = await store.pool.call(
                "MEMORY", "USAGE", key, "SAMPLES", 0, expect=is_number_or_none, doing="measuring a sample"
            )
            if found is None:
                raise OutOfMemory(
                    "the sample was evicted or cleaned away as it was measured: there is no room"
                )
            used += found
    return _Measured(bytes=used * counted(form).keys / sampled, seconds=seconds, encoding=encoding)


async def _load(store: Store, form: Form, layout: Layout, psi: NDArray[Any]) -> tuple[float, float]:
    """Load a sample as an ingest does: one chunk encoded at a time, several written. Seconds, and of the encoding."""
    encoder = Encoder(
        source=array(psi), plan=form.plan("C"), layout=layout, codec=form.codec, allow_nonfinite=True
    )
    sink, one_at_a_time = ServerSink(store.pool), anyio.CapacityLimiter(1)
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
    """The keys of a generation are in the trash meanwhile, and removed at the end."""
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
        # If the server is gone: what there was of the sample will be gone too, or found in the trash.
        with anyio.move_on_after(TIDY_TIME, shield=True), suppress(QwfError):
            await sweep(pool, keys, batch=store.settings.clean_batch)
            await leave(pool, keys)


def _unheard(event: Event) -> None:
    """What the probe for RESTORE says is no news here."""
