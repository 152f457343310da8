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

from ..catalog.cleaning import remove_generation, sweep
from ..catalog.journal import JournalEntry
from ..catalog.keys import Keys
from ..catalog.load import Load, LoadTaken
from ..client.connection import Connection
from ..client.retry import Retry, until_available
from ..errors import (
    DamagedData,
    DataLost,
    InvalidInput,
    QwfError,
    Refused,
    ReplayOwed,
    ServerUnavailable,
    first_error,
)
from ..events import Event, Hook, Noted, Progress, Retried
from ..source.base import check_unchanged, notes_of, warnings_of
from ..store.store import Store
from ..wire.batch import Batch
from ..wording import again_with, flag, option, said
from .delivery import Writer
from .gate import Gate, Watermarks
from .lease import Lease
from .load_spool import LoadSpool
from .outage import Outage
from .producer import Encoder, Producer
from .report import Report
from .shutdown import Shutdown
from .sink import ServerSink
from .surviving_chunks import trusted_entries
from .transfer import pump
from .verify import differing_chunks
from .watchdog import Watchdog

MOST_ROUNDS: Final = 5
"""Times that what the journal lacks is sent: once, and again after each loss that the journal shows."""

SETTLE_TIME: Final = 2.0
"""Seconds that may be spent on leaving things tidy after an error or a cancellation."""

LAST_TRY: Final = 0.5
"""Seconds for one try to give the name up on a server that was away for too long."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One load being filled from its source, or without one (`encoder` None) from the spool alone.

    `bytes_sent` and `retries` count as it goes; `entries` is what the journal holds.
    """

    store: Store
    keys: Keys
    load: Load
    spool: LoadSpool
    encoder: Encoder | None
    writers: int
    max_rate: float | None
    verify: bool
    evictable: bool
    hook: Hook
    published: bool = False
    bytes_sent: int = 0
    retries: int = 0
    spooled_chunks: int = 0
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
                    background.start_soon(self._sweep_told)  # what was discarded makes room
                    await self._fill(lease, shutdown.stopping)
                    if shutdown.signum is None:
                        if self.encoder is not None:
                            await anyio.to_thread.run_sync(check_unchanged, self.encoder.source)
                        await self._verify()
                    background.cancel_scope.cancel()
                if shutdown.signum is None:
                    return await self._publish()
            await self._settle()
            so_far = self._so_far()
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                lasting = await self._aftermath(error)
            if lasting is error:
                raise
            raise lasting from error
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    await self.spool.aclose()
            finally:
                self.load.end()
        raise shutdown.interrupted(f"{so_far}: {again_with('resume')}")

    def _so_far(self) -> str:
        chunks, waiting = len(self.load.manifest.plan), len(self.spool.chunks - self.entries.keys())
        spooled = f", {waiting} more wait in the spool {self.spool.path}" if waiting else ""
        return f"{len(self.entries)} of {chunks} chunks of {self.keys.name} are stored{spooled}"

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

        async def permit() -> None:
            await gate.passed()
            await lease.assured()

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
            sink=ServerSink(self.load.connection, record, permit, self.hook),
            gate=gate,
            ack=ack,
            retry=self.store.pool.retry,
            hook=self._count,
        )
        async with anyio.create_task_group() as background:
            background.start_soon(watchdog.run)
            plan = self.load.manifest.plan
            self.entries = {}
            if self.load.resumed:
                self.entries = await trusted_entries(
                    self.store, self.keys, self.load, readers=self.writers, hook=self.hook
                )
            self.resumed_chunks = len(self.entries)
            await self.spool.find()
            outage = Outage(
                server=writer.sink,
                spool=self.spool,
                back=lease.renew,
                lost=lease.doubt,
                redeliver=replace(writer, retry=Retry(deadline=settings.spool_after)).deliver,
                writers=self.writers,
                after=settings.spool_after,
                deadline=settings.deadline,
                hook=self._count,
            )
            background.start_soon(outage.run)
            writer = replace(writer, sink=outage)
            for _ in range(MOST_ROUNDS):
                safe = self.entries.keys() | self.spool.chunks
                self.points = sum(plan[number].points for number in safe)
                self._progress()
                if self.encoder is not None:
                    await pump(
                        (number for number in range(len(plan)) if number not in safe),
                        Producer(encoder=self.encoder, max_rate=self.max_rate),
                        writer,
                        writers=self.writers,
                        stream_bytes=settings.stream_bytes,
                        stopping=stopping,
                    )
                if stopping.is_set():
                    break
                await outage.settled()
                await until_available(self.load.renew, self.store.pool.retry)
                self.entries = await self.load.journal()
                if len(self.entries) == len(plan):
                    break
                if self.encoder is None:
                    raise Refused(
                        f"{self._so_far()}, and the rest must come from the source: "
                        + said(
                            command_line=f"qwf ingest SOURCE --name {self.keys.name} --resume",
                            python=f"ingest(source, store, {self.keys.name!r}, resume=True)",
                        )
                    )
            else:
                lacking = len(plan) - len(self.entries)
                raise DataLost(f"the server keeps losing what it is given: {lacking} chunks are missing")
            self.spooled_chunks = outage.replayed
            background.cancel_scope.cancel()

    async def _verify(self) -> None:
        """Compare what is stored with what was sent, if that was asked for. Raises DamagedData."""
        if not self.verify or self.encoder is None:
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
            # A server that was flushed says so.
            await until_available(self.load.renew, self.store.pool.retry)
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
        await self._sweep_told()
        durability = await until_available(self.store.secure, self.store.pool.retry)
        report = Report.of(manifest, self.keys.name, durability=durability)
        if self.store.pool.fence.is_open:
            text = (
                "what was under way on a broken connection may be applied late: the server lets nobody end it"
            )
            self.hook(Noted(text=text, warning=True))
        per_point = await self.store.bytes_per_point(manifest, self.keys.name)
        if per_point is None:
            self.hook(Noted(text="the server forbids MEMORY: bytes a point are not known", warning=True))
        return replace(
            report,
            bytes_sent=self.bytes_sent,
            seconds=seconds,
            points_per_s=self.sent_points / seconds,
            bytes_per_point=per_point,
            retries=self.retries,
            spooled_chunks=self.spooled_chunks,
            resumed_chunks=self.resumed_chunks,
            verified=self.verify,
            connections=self.store.pool.counts.to_json(),
            source_facts={} if self.encoder is None else dict(notes_of(self.encoder.source)),
            warnings=() if self.encoder is None else tuple(warnings_of(self.encoder.source)),
        )

    async def _aftermath(self, error: BaseException) -> BaseException:
        """Leave things tidy after an error, and return the error to raise."""
        cause = first_error(error)
        if self.published:
            return cause
        if isinstance(cause, InvalidInput | DataLost | LoadTaken):
            with self._told():
                await self.spool.delete()  # it has no load any more to go into
        if isinstance(cause, InvalidInput):
            with self._tidying():
                if not await self.load.discard():  # gone with what the server lost, perhaps, but not its keys
                    await remove_generation(
                        self.store.pool, self.keys, self.load.manifest, batch=self.store.settings.clean_batch
                    )
                await self._sweep()
            return cause
        if isinstance(cause, DataLost | LoadTaken):
            await self._settle()
            return cause
        waiting = self.spool.chunks
        if not isinstance(cause, ServerUnavailable):
            if not await self._settle():
                with self._told():
                    await self.spool.delete()
                if isinstance(cause, QwfError):
                    return type(cause)(
                        f"{cause}; the load is gone from the server, and nothing is left of it"
                    )
                return cause
        else:
            with anyio.move_on_after(LAST_TRY, shield=True), suppress(QwfError):
                await self.load.release()
        if isinstance(cause, ServerUnavailable) and waiting:
            if len(self.entries.keys() | waiting) == len(self.load.manifest.plan):
                replay = said(command_line="run 'qwf resume'", python=again_with("resume"))
                there = f", with {option('url')} or QWF_URL as now: {self.store.pool.address.shown}"
                there = said(command_line="" if self.store.embedded else there, python="")
                return ReplayOwed(
                    f"{cause}; all of {self.keys.name} is on the server or in the spool, where {len(waiting)} "
                    f"chunks wait ({self.spool.path}): {replay} when the server is back{there}"
                )
            return ServerUnavailable(f"{cause}; {self._so_far()}: {again_with('resume')}")
        if isinstance(cause, QwfError):
            return type(cause)(f"{cause}; what was stored can be resumed with {flag('resume')}")
        return cause

    async def _settle(self) -> bool:
        """Give the name up, so that the load can be resumed at once.

        False if the load is gone from the server, or another's: then what it wrote is removed,
        unless somebody else goes on with it.
        """
        with self._tidying():
            try:
                await until_available(self.load.release, Retry(deadline=SETTLE_TIME))
            except (DataLost, LoadTaken):
                await remove_generation(
                    self.store.pool, self.keys, self.load.manifest, batch=self.store.settings.clean_batch
                )
                return False
        return True

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

    async def _sweep_told(self) -> None:
        with self._told():
            await self._sweep()

    async def _sweep(self) -> None:
        await sweep(self.store.pool, self.keys, batch=self.store.settings.clean_batch)

    def _progress(self) -> None:
        total = self.load.manifest.points
        self.hook(Progress(points=self.points, total=total, bytes_sent=self.bytes_sent))

    def _count(self, event: Event) -> None:
        if isinstance(event, Retried):
            self.retries += 1
        self.hook(event)
