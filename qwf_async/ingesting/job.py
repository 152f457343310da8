"""The story of a load: filled from its source or its spool, verified, published; or left so that it can be resumed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.to_thread
import numpy as np

from ..catalog.confirmation import Confirmation, JournalHoles
from ..catalog.keys import Keys
from ..catalog.load import Load
from ..client.retry import until_available
from ..errors import DamagedData, DataLost, Refused, first_error
from ..events import Event, Hook, LoadEnded, Noted, Progress, Retried, progress_of
from ..host.cores import cores
from ..layout import Layout
from ..source.base import Source, check_unchanged
from ..store.store import Store
from ..wire.batch import Batch
from ..wording import again_with, phrase
from .finish import Finish
from .lanes import Lanes
from .lease import Lease
from .load_spool import LoadSpool
from .producer import Encoder, Producer, usual_producers
from .report import Report, Tally
from .shutdown import Shutdown
from .surviving_chunks import forget_lost, surviving_entries
from .transfer import transfer
from .verification import differing_chunks

MAX_VAIN_ROUNDS: Final = 5
"""How often in a row the chunks that the journal lacks are sent without it holding more than ever before.

After a failover in a cluster it lacks what the new primary did not have, so a loss alone ends nothing.
"""


@dataclass(slots=True, kw_only=True)
class Job:
    """A load that this process owns, being filled from its source; from its spool alone if `source` is None.

    `by_restore`: whether the chunks are written by RESTORE, see `choose_restore`. `writers`,
    `producers`, `max_rate` (points/s) and `replicas` are as for `ingest`. `evictable`: the server may evict
    stored data.
    """

    store: Store
    keys: Keys
    load: Load
    by_restore: bool
    source: Source | None
    hook: Hook
    writers: int
    producers: int | None = None
    max_rate: float | None = None
    allow_nonfinite: bool = False
    verify: bool = False
    evictable: bool = False
    replicas: int = 0
    _tally: Tally = field(default_factory=Tally)
    _layout: Layout = field(init=False)
    _spool: LoadSpool = field(init=False)
    _finish: Finish = field(init=False)

    def __post_init__(self) -> None:
        manifest = self.load.manifest
        self._layout = manifest.form.open(self.keys.base(manifest.generation), by_restore=self.by_restore)
        self._spool = LoadSpool.of(self.store, self.keys, self.load, self._layout)
        confirmation = Confirmation(
            pool=self.store.pool,
            keys=self.keys,
            manifest=manifest,
            asked=self.replicas,
            audit=self._audit if self.store.pool.is_cluster else None,
        )
        self._finish = Finish(
            store=self.store,
            keys=self.keys,
            load=self.load,
            spool=self._spool,
            confirmation=confirmation,
            tally=self._tally,
            hook=self.hook,
        )

    async def run(self, shutdown: Shutdown) -> Report:
        """Fill and publish the load, or leave it so that it can be resumed, and raise."""
        finish, published = self._finish, False
        try:
            with shutdown.drained():
                await finish.confirmation.watch()
                lost = 0
                while shutdown.signum is None:
                    try:
                        await self._fill_and_confirm(shutdown)
                        if shutdown.signum is None:
                            report = await finish.publish(self.source, verified=self.verify)
                            published = True
                            return report
                    except* JournalHoles as errors:
                        lost += 1
                        await self._prepare_again(errors, lost)
            await finish.leave()
            so_far = finish.so_far()
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                final = await finish.end_after(error)
            if final is error:
                raise
            raise final from error
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    await self._spool.aclose()
            finally:
                self.load.end()
                self.hook(LoadEnded(name=self.keys.name, published=published))
        raise shutdown.interrupted(f"{so_far}: {again_with('resume')}")

    async def _fill_and_confirm(self, shutdown: Shutdown) -> None:
        """Fill the load, and let the servers confirm it, while it is held. A signal ends that early."""
        async with anyio.create_task_group() as background:
            lease = Lease(load=self.load)
            background.start_soon(lease.run)
            background.start_soon(self._finish.sweep)  # what was discarded makes room
            await self._fill(lease, shutdown.stopping)
            if shutdown.signum is None:
                if self.source is not None:
                    await anyio.to_thread.run_sync(check_unchanged, self.source)
                await self._verify()
                self._finish.confirmation.doubt(self._tally.doubtful)
                await self._finish.confirmation.confirm()
            background.cancel_scope.cancel()

    async def _prepare_again(self, errors: BaseException, lost: int) -> None:
        """Get ready to send what was lost before it was published. Raises if that was too often, or has no source."""
        self._tally.entries = await self.load.journal()
        if self.source is None:
            raise self._needs_source()
        if lost == MAX_VAIN_ROUNDS:
            raise first_error(errors)
        missing = len(self.load.manifest.plan) - len(self._tally.entries)
        self.hook(
            Noted(text=f"{missing} chunks were lost before they were published: sent again", warning=True)
        )

    async def _audit(self, numbers: Collection[int]) -> Collection[int]:
        return await forget_lost(
            self.store, self.keys, self.load, numbers, readers=self.writers, hook=self.hook
        )

    async def _fill(self, lease: Lease, stopping: anyio.Event) -> None:
        """Send the chunks that the journal does not hold, and again those that it then still lacks."""
        store, load, tally = self.store, self.load, self._tally
        plan, retry = load.manifest.plan, store.pool.retry
        async with anyio.create_task_group() as background:
            if load.resumed and not tally.entries:
                tally.entries = await surviving_entries(
                    store, self.keys, load, readers=self.writers, hook=self.hook
                )
                tally.resumed_chunks = len(tally.entries)
            most = len(tally.entries)
            await self._spool.find()
            lanes = Lanes.of(
                store,
                self.keys,
                load,
                spool=self._spool,
                lease=lease,
                writers=self.writers,
                evictable=self.evictable,
                tally=tally,
                hook=self._count,
                background=background,
            )
            vain = 0
            while True:
                await self._send_missing(lanes, stopping)
                if stopping.is_set():
                    break
                await lanes.settled()
                await until_available(load.renew, retry)
                tally.entries = await load.journal()
                if len(tally.entries) == len(plan):
                    break
                if self.source is None:
                    raise self._needs_source()
                vain = 0 if len(tally.entries) > most else vain + 1
                most = max(most, len(tally.entries))
                if vain == MAX_VAIN_ROUNDS:
                    missing = len(plan) - len(tally.entries)
                    raise DataLost(f"the server keeps losing what it is given: {missing} chunks are missing")
            tally.spooled_chunks += lanes.replayed
            background.cancel_scope.cancel()

    async def _send_missing(self, lanes: Lanes, stopping: anyio.Event) -> None:
        """Send the chunks that are neither in the journal nor in the spool, if there is a source to take them from."""
        plan, tally = self.load.manifest.plan, self._tally
        safe = tally.entries.keys() | self._spool.chunks
        tally.points = sum(plan[number].points for number in safe)
        self._tell_progress()
        if self.source is None:
            return
        encoder = Encoder(
            source=self.source,
            plan=plan,
            layout=self._layout,
            codec=self.load.manifest.form.codec,
            allow_nonfinite=self.allow_nonfinite,
        )
        stream_bytes = self.store.settings.stream_bytes
        count = self.producers or usual_producers(cores(), plan, stream_bytes)
        missing = np.ones(len(plan), dtype=bool)
        missing[list(safe)] = False
        await transfer(
            np.flatnonzero(missing),
            Producer(encoder=encoder, count=count, max_rate=self.max_rate),
            lanes,
            self._acknowledge,
            writers=self.writers,
            stream_bytes=stream_bytes,
            stopping=stopping,
        )

    def _acknowledge(self, batch: Batch) -> None:
        """The batch is on the server or in the spool."""
        self._tally.add(batch)
        self._tell_progress()

    async def _verify(self) -> None:
        """Compare what is stored with what was sent, if that was asked for. Raises DamagedData."""
        if not self.verify or self.source is None:
            return
        entries, manifest = self._tally.entries, self.load.manifest
        differing = await differing_chunks(
            self.store.pool,
            self._layout,
            manifest.form.codec,
            manifest.plan,
            entries,
            readers=self.writers,
            done=progress_of(self.hook, manifest.points, phase="verifying"),
        )
        if differing:
            # A server that was flushed says so.
            await until_available(self.load.renew, self.store.pool.retry)
            await self.load.forget(differing)
            raise DamagedData(
                f"{len(differing)} of {len(entries)} chunks of {self.keys.name} differ from what was sent "
                f"(first: chunk {min(differing)}); nothing was published"
            )

    def _needs_source(self) -> Refused:
        again = phrase(
            command_line=f"qwf ingest SOURCE --name {self.keys.name} --resume",
            python=f"ingest(source, store, {self.keys.name!r}, resume=True)",
        )
        return Refused(f"{self._finish.so_far()}, and the rest must come from the source: {again}")

    def _tell_progress(self) -> None:
        tally, total = self._tally, self.load.manifest.points
        self.hook(
            Progress(points=tally.points, total=total, bytes_sent=tally.bytes_sent, name=self.keys.name)
        )

    def _count(self, event: Event) -> None:
        """Count retries for the report, and pass every event on."""
        if isinstance(event, Retried):
            self._tally.retries += 1
        self.hook(event)
