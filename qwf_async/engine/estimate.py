"""What a source would take in each layout and codec: a sample is stored, measured and removed.

The sample's keys are under our prefix, have a time to live, and are removed whatever
happens. Memory does not grow quite linearly (tables double), so what was measured is
scaled by the model of `layout.size`. Not covered: the journal (100 bytes a chunk), the
buffers of clients, and a source whose speed differs from place to place.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np

from ..codec import CODECS
from ..errors import OutOfMemory, QwfError, Refused
from ..grid import Box, Shape4, shape4
from ..layout import LAYOUTS, Form, Layout
from ..layout.size import counted, predicted_bytes
from ..layout.tile import Shape3, default_tile
from ..manifest import Keys, new_generation
from ..plan import BoxPlan
from ..server.connection import until_available
from ..source.array import array
from ..source.base import Source
from ..store import Store
from .events import Event
from .producer import Encoder
from .sink import ServerSink
from .write_mode import choose_restore

SAMPLE_POINTS: Final = 262_144
"""Points of a sample, about: 2 to 30 MB on the server for a second."""

MEASURED_KEYS: Final = 64
"""Keys of a sample whose memory is asked for; they are alike."""

TIME_TO_LIVE: Final = 120
"""Seconds after which a sample is gone, if this process cannot remove it."""

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
            seconds = max(read_seconds + measured.encoding, measured.writing)
            room = None
            if memory is not None and memory.limit is not None:
                room = store.settings.high_watermark * memory.limit - memory.used
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
    """Memory of a sample in bytes; seconds that it took to encode and to write it."""

    bytes: float
    encoding: float
    writing: float


async def _measured(store: Store, form: Form, psi: Any) -> _Measured:
    base = Keys(prefix=store.settings.prefix, name="estimate").base(new_generation())
    restore = await choose_restore(store.pool, base, form, "auto", _unheard)
    layout = form.open(base, by_restore=restore)
    source = array(psi)
    encoder = Encoder(
        source=source, plan=form.plan("C"), layout=layout, codec=form.codec, allow_nonfinite=True
    )
    encoding = writing = 0.0
    async with _removed_after(store, layout):
        for number in range(len(encoder.plan)):
            begun = time.perf_counter()
            batch = await anyio.to_thread.run_sync(encoder.batch, number)
            encoding += time.perf_counter() - begun
            begun = time.perf_counter()
            await ServerSink(store.pool).write(batch)
            writing += time.perf_counter() - begun
            expiries = [("EXPIRE", part.key, TIME_TO_LIVE) for part in batch.parts]
            async with store.pool.connection() as connection:
                await connection.pipeline(expiries)
        keys = counted(form).keys
        used = 0
        for key in islice(layout.keys(), MEASURED_KEYS):
            found = await store.pool.call("MEMORY", "USAGE", key, "SAMPLES", 0, doing="measuring a sample")
            if found is None:
                raise OutOfMemory("the server evicted the sample while it was measured: it has no room")
            used += found
    return _Measured(bytes=used * keys / min(keys, MEASURED_KEYS), encoding=encoding, writing=writing)


@asynccontextmanager
async def _removed_after(store: Store, layout: Layout) -> AsyncIterator[None]:
    """Remove the layout's keys at the end. What cannot be removed has a time to live."""
    try:
        yield
    finally:
        keys = layout.keys()
        with anyio.move_on_after(TIDY_TIME, shield=True):
            while some := list(islice(keys, store.settings.clean_batch)):
                try:
                    async with store.pool.connection() as connection:
                        await connection.call("UNLINK", *some)
                except QwfError:  # the server is gone; what there was of the sample will be too
                    break


def _unheard(event: Event) -> None:
    """What the probe for RESTORE says is no news here."""
