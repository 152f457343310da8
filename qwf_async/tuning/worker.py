"""A worker of the tuner: a process that loads a part of the source when it is told to, or one that watches.

Each job of a trial is a process of its own, as the jobs of users are. Tasks of one process would share
an interpreter, and with many of them that is measured, not the server. When the tuner closes its side, or
dies, the worker removes what it has stored and ends.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..client.reply import is_number
from ..errors import DamagedData, InvalidInput, QwfError, first_error
from ..ingesting.ingestion import ingest
from ..ingesting.report import Report
from ..ingesting.verification import verify
from ..lattice.grid import Box, shape4
from ..lattice.plan import BoxPlan
from ..settings import Settings
from ..source import open_source
from ..source.base import Source, is_parallel
from ..store.connecting import connect
from ..store.store import Store
from .candidate import Candidate
from .orders import GO, STOP, Lines, as_words
from .part import Part

PAUSE: Final = 0.002
"""Seconds from a reply to the next question of one who watches."""

WATCHED_KEYS: Final = 64
"""Keys that are asked for in turn, so that each node of a cluster is watched."""

SAMPLE_POINTS: Final = 4096
"""Points that are read back after each load, about."""

MAX_REMOVAL_TIME: Final = 10.0
"""Seconds that the removal of what was stored may take when the tuner is gone."""

NORM_TOLERANCE: Final = 1e-9
"""How much norms of one source may differ in proportion: they are summed in another order for other chunks."""


@dataclass(slots=True, kw_only=True)
class Loader:
    """Loads a part of a source under a scratch name, looks at it, and removes it."""

    source: Source
    settings: Settings
    lines: Lines
    _samples: dict[tuple[int, ...], tuple[Box, NDArray[Any]]] = field(default_factory=dict)
    _norms: dict[tuple[int, ...], float] = field(default_factory=dict)

    async def load(self, order: dict[str, Any], go: anyio.Event) -> dict[str, Any]:
        """Connect, say that all is ready, and load once the tuner says so. Returns what was measured."""
        candidate, name = Candidate(**order["candidate"]), order["name"]
        part = Part(whole=self.source, shape=shape4(order["shape"]))
        box, sample = await self._sample(part, order["job"])
        # What the server does not take at once is no measurement, and must not lie in a spool.
        settings = replace(self.settings, stream_bytes=candidate.stream_bytes, spool_limit=0)
        async with connect(settings=settings) as store:
            await self.lines.say({"ready": True})
            await go.wait()
            begun = time.monotonic()
            report = await ingest(
                part, store, name, max_rate=order["max_rate"], **candidate.options(part.shape, part.order)
            )
            ended = time.monotonic()
            self._check(report, part)
            psi = await store.open(name)
            if not np.array_equal(await psi.read[box.slices], sample, equal_nan=True):
                raise DamagedData(f"{name} reads other values than were stored")
            if order["verify"] and (differing := (await verify(store, name)).differing):
                raise DamagedData(f"{len(differing)} chunks of {name} differ from what was stored")
        return {
            "begun": begun,
            "ended": ended,
            "points": report.points,
            "bytes_per_point": report.bytes_per_point,
        }

    async def remove(self, name: str) -> None:
        """Remove what is stored under a scratch name, if anything is."""
        async with connect(settings=self.settings) as store:
            with suppress(InvalidInput):
                await store.remove(name)

    async def _sample(self, part: Part, job: int) -> tuple[Box, NDArray[Any]]:
        """A box of the part with its values: anywhere, or at the beginning of a source that is read in order."""
        if part.shape not in self._samples:
            plan = BoxPlan.cut(part.shape, order=part.order, points=SAMPLE_POINTS)
            number = random.Random(job).randrange(len(plan)) if is_parallel(self.source) else 0  # noqa: S311 # no secret
            box = plan[number].box
            self._samples[part.shape] = box, await anyio.to_thread.run_sync(part.read, box)
        return self._samples[part.shape]

    def _check(self, report: Report, part: Part) -> None:
        """Raise DamagedData if a report is not of all points, or has another norm than the first one of the part."""
        norm = self._norms.setdefault(part.shape, report.norm or 0.0)
        if report.points != part.grid.points or abs(norm - (report.norm or 0.0)) > NORM_TOLERANCE * norm:
            raise DamagedData(
                f"{report.name} has {report.points:,} points of norm {report.norm}, "
                f"and should have {part.grid.points:,} of norm {norm}"
            )


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Asks a server for a key, again and again over a connection of its own, and notes how long each answer takes."""

    store: Store
    _waits: list[float] = field(default_factory=list)

    async def run(self) -> None:
        prefix, number = self.store.settings.prefix, 0
        while True:
            number = (number + 1) % WATCHED_KEYS
            begun = time.perf_counter()
            await self.store.pool.call(
                "EXISTS", f"{prefix}:{{tune-watched-{number}}}:scratch", expect=is_number
            )
            self._waits.append(1e3 * (time.perf_counter() - begun))
            await anyio.sleep(PAUSE)

    def taken(self) -> list[float]:
        """The waits since the last call, in milliseconds."""
        waits, self._waits = self._waits, []
        return waits


def percentile(some: list[float], share: float) -> float:
    """The smallest value that this share of all is not above; 0 of none."""
    return sorted(some)[min(len(some) - 1, int(share * len(some)))] if some else 0.0


async def _serve_loads(lines: Lines, first: dict[str, Any], settings: Settings) -> None:
    source = open_source(first["source"], **first["options"])
    loader = Loader(source=source, settings=settings, lines=lines)
    name: str | None = None
    try:
        await lines.say({"pid": os.getpid()})
        while (order := await lines.next()) is not None:
            if order == STOP:  # it has met an error meanwhile
                continue
            name, go = order["name"], anyio.Event()
            async with _answering(lines):
                answer: dict[str, Any] = {"stopped": True}
                if order["do"] == "remove":
                    await loader.remove(order["name"])
                    name = None
                else:
                    async with _until_left(lines, go):
                        answer = await loader.load(order, go)
                await lines.say(answer)
    finally:
        if name is not None:
            with anyio.move_on_after(MAX_REMOVAL_TIME, shield=True), suppress(QwfError):
                await loader.remove(name)


@asynccontextmanager
async def _until_left(lines: Lines, go: anyio.Event) -> AsyncIterator[None]:
    """Run the body, which waits for `go`. It is cancelled if the tuner calls it off or is gone."""
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            if await lines.next() == GO:
                go.set()
                await anyio.wait_readable(lines.sock)  # nothing but the end comes while a load runs
            tasks.cancel_scope.cancel()

        tasks.start_soon(listen)
        yield
        tasks.cancel_scope.cancel()


async def _serve_watch(lines: Lines, settings: Settings) -> None:
    async with connect(settings=settings) as store, anyio.create_task_group() as tasks:
        watcher = Watcher(store=store)
        tasks.start_soon(watcher.run)
        await lines.say({"pid": os.getpid()})
        while await lines.next() is not None:
            await lines.say({"p99": percentile(watcher.taken(), 0.99)})
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def _answering(lines: Lines) -> AsyncIterator[None]:
    """Tell the tuner of an error of ours that the body raises, in place of an answer."""
    try:
        yield
    except* QwfError as errors:
        await lines.say(as_words(first_error(errors)))


async def _serve(lines: Lines) -> None:
    first = await lines.next()
    if first is None:
        return
    async with _answering(lines):
        settings = Settings(**first["settings"])
        if first["source"] is None:
            await _serve_watch(lines, settings)
        else:
            await _serve_loads(lines, first, settings)


def serve(sock: socket.socket) -> None:
    """Do what is said at a socket, until the other side ends."""
    loop = {"use_uvloop": sys.platform != "win32"}
    anyio.run(_serve, Lines(sock), backend="asyncio", backend_options=loop)
