"""One load being filled and published, or left so that it can be resumed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
import anyio.to_thread

from ..cleaning import remove_generation, sweep
from ..errors import DamagedData, DataLost, InvalidInput, QwfError
from ..load import Load, LoadTaken
from ..manifest import JournalEntry, Keys
from ..server.connection import Connection, until_available
from ..store import Store
from ..wire.batch import Batch
from .events import Event, Hook, Noted, Progress, Retried
from .gate import Gate, Watermarks
from .lease import Lease
from .producer import Encoder, Producer
from .pump import pump
from .report import Report
from .shutdown import Shutdown
from .sink import ServerSink
from .unwrap import first_error
from .verify import differing_chunks
from .watchdog import Watchdog
from .writer import Writer

MOST_ROUNDS: Final = 5
"""Times that what the journal lacks is sent: once, and again after each loss that the journal shows."""

SETTLE_TIME: Final = 2.0
"""Seconds that may be spent on leaving things tidy after an error or a cancellation."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One load being filled. `bytes_sent` and `retries` count as it goes; `entries` is what the journal holds."""

    store: Store
    keys: Keys
    load: Load
    encoder: Encoder
    writers: int
    max_rate: float | None
    verify: bool
    evictable: bool
    hook: Hook
    published: bool = False
    bytes_sent: int = 0
    retries: int = 0
    points: int = 0
    sent_points: int = 0
    resumed_chunks: int = 0
    entries: dict[int, JournalEntry] = field(default_factory=dict)
    _begun: float = field(default_factory=time.perf_counter)

    async def run(self, shutdown: Shutdown) -> Report:
        """Fill and publish the load, or leave it so that it can be resumed, and raise."""
        try:
            with shutdown.drained():
                async with anyio.create_task_group() as background:
                    lease = Lease(load=self.load)
                    background.start_soon(lease.run)
                    with self._told():
                        await self._sweep()  # what was discarded makes room
                    await self._fill(lease, shutdown.stopping)
                    if shutdown.signum is None:
                        await self._verify()
                    background.cancel_scope.cancel()
                if shutdown.signum is None:
                    return await self._publish()
            await self._settle()
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                lasting = await self._aftermath(error)
            if lasting is error:
                raise
            raise lasting from error
        raise shutdown.interrupted(
            f"{len(self.entries)} of {len(self.load.manifest.plan)} chunks of {self.keys.name} are stored: "
            "run the same command with --resume"
        )

    async def _fill(self, lease: Lease, stopping: anyio.Event) -> None:
        """Write all chunks that the journal does not hold, and again what it then still lacks."""
        settings = self.store.settings
        gate = Gate()
        watchdog = Watchdog(
            gate=gate,
            probe=self.store.memory,
            clean=self.store.clean,
            watermarks=Watermarks(high=settings.high_watermark, low=settings.low_watermark),
            interval=settings.sample_interval,
            timeout=settings.gate_timeout,
            evictable=self.evictable,
            hook=self.hook,
        )

        async def record(batch: Batch, connection: Connection) -> None:
            entry = JournalEntry(digest=batch.digest, weight=batch.weight)
            await self.load.record({batch.chunk: entry}, connection)
            self.entries[batch.chunk] = entry

        async def ack(batch: Batch) -> None:
            self.bytes_sent += batch.nbytes
            self.points += batch.points
            self.sent_points += batch.points
            self._progress()

        writer = Writer(
            sink=ServerSink(self.store.pool, record),
            gate=gate,
            permit=lease.assured,
            ack=ack,
            deadline=settings.deadline,
            hook=self._count_retries,
        )
        producer = Producer(encoder=self.encoder, max_rate=self.max_rate)
        async with anyio.create_task_group() as background:
            background.start_soon(watchdog.run)
            plan = self.load.manifest.plan
            self.entries = await self.load.journal() if self.load.resumed else {}
            self.resumed_chunks = len(self.entries)
            rounds = 0
            while len(self.entries) < len(plan) and not stopping.is_set():
                if rounds == MOST_ROUNDS:
                    lacking = len(plan) - len(self.entries)
                    raise DataLost(f"the server keeps losing what it is given: {lacking} chunks are missing")
                rounds += 1
                self.points = sum(plan[number].points for number in self.entries)
                self._progress()
                stored = frozenset(self.entries)
                await pump(
                    (number for number in range(len(plan)) if number not in stored),
                    producer,
                    writer,
                    writers=self.writers,
                    stream_bytes=settings.stream_bytes,
                    stopping=stopping,
                )
                await until_available(self.load.renew, settings.deadline)
                self.entries = await self.load.journal()
            background.cancel_scope.cancel()

    async def _verify(self) -> None:
        """Compare what is stored with what was sent, if that was asked for. Raises DamagedData."""
        if not self.verify:
            return
        differing = await differing_chunks(
            self.store.pool,
            self.encoder.layout,
            self.encoder.codec,
            self.load.manifest.plan,
            self.entries,
            readers=self.writers,
        )
        if differing:
            await self.load.forget(differing)
            raise DamagedData(
                f"{len(differing)} of {len(self.entries)} chunks of {self.keys.name} differ from what was sent "
                f"(first: chunk {min(differing)}); nothing was published"
            )

    async def _publish(self) -> Report:
        grid = self.load.manifest.grid
        weight = math.fsum(entry.weight for entry in self.entries.values())
        norm = None if grid.cell_volume is None else weight * grid.cell_volume / grid.shape[0]
        manifest = await self.load.publish(norm)
        self.published = True
        seconds = time.perf_counter() - self._begun
        with self._told():
            await self._sweep()
        durability = await until_available(self.store.secure, self.store.settings.deadline)
        report = Report.of(manifest, self.keys.name, durability=durability)
        return replace(
            report,
            bytes_sent=self.bytes_sent,
            seconds=seconds,
            points_per_s=self.sent_points / seconds,
            bytes_per_point=await self.store.bytes_per_point(manifest, self.keys.name),
            retries=self.retries,
            resumed_chunks=self.resumed_chunks,
            verified=self.verify,
        )

    async def _aftermath(self, error: BaseException) -> BaseException:
        """Leave things tidy after an error, and return the error to raise."""
        cause = first_error(error)
        if self.published:
            return cause
        if isinstance(cause, InvalidInput):
            with self._tidying():
                await self.load.discard()
                await self._sweep()
            return cause
        if isinstance(cause, DataLost | LoadTaken):
            with self._tidying():
                await remove_generation(self.store.pool, self.keys, self.load.manifest)
            await self._settle()
            return cause
        await self._settle()
        if isinstance(cause, QwfError):
            return type(cause)(f"{cause}; what was stored can be resumed with --resume")
        return cause

    async def _settle(self) -> None:
        """Give the name up, if it is ours still, so that the load can be resumed at once."""
        with self._tidying(), suppress(DataLost, LoadTaken):
            await until_available(self.load.release, SETTLE_TIME)

    @contextmanager
    def _tidying(self) -> Iterator[None]:
        """Run the body for at most SETTLE_TIME, whatever is cancelled meanwhile; what fails is told, not raised."""
        with anyio.move_on_after(SETTLE_TIME, shield=True), self._told():
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Run the body; an error of ours is told, not raised."""
        try:
            yield
        except QwfError as error:
            self.hook(Noted(text=f"could not leave the server tidy: {error}", warning=True))

    async def _sweep(self) -> None:
        await sweep(self.store.pool, self.keys, batch=self.store.settings.clean_batch)

    def _progress(self) -> None:
        total = self.load.manifest.points
        self.hook(Progress(points=self.points, total=total, bytes_sent=self.bytes_sent))

    def _count_retries(self, event: Event) -> None:
        if isinstance(event, Retried):
            self.retries += 1
        self.hook(event)
