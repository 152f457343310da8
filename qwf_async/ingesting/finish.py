"""How the run of a load ends: published and reported, or left in order after an error or a signal."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

import anyio

from ..catalog.cleaning import remove_generation, sweep
from ..catalog.confirmation import Confirmation, JournalHoles, TooFewReplicas
from ..catalog.keys import Keys
from ..catalog.load import Load, LoadTaken
from ..client.retry import Retry, until_available
from ..errors import (
    DataLost,
    InvalidInput,
    QwfError,
    ReplayOwed,
    ServerUnavailable,
    first_error,
)
from ..events import Hook, Noted
from ..source.base import Source, notes_of, remarks_of, warnings_of
from ..store.store import Store
from ..wording import again_with, flag, option, phrase
from .load_spool import LoadSpool
from .producer import total_weight
from .report import Report, Tally

SETTLE_TIME: Final = 2.0
"""Seconds that may be spent on leaving things in order after an error or a cancellation."""

LAST_TRY: Final = 0.5
"""Seconds for one try to give the name up on a server that was away for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The ways in which a run of a load can end; `tally` is what the run has done."""

    store: Store
    keys: Keys
    load: Load
    spool: LoadSpool
    confirmation: Confirmation
    tally: Tally
    hook: Hook

    async def publish(self, source: Source | None, *, verified: bool) -> Report:
        """Publish the load, make it as durable as the server offers, and report.

        Raises as `Load.publish`, InvalidInput if the norm is too large for a float64, and QwfError
        if the server fails to save.
        """
        store, tally = self.store, self.tally
        manifest = await self.load.publish(self._norm(), self.confirmation)
        tally.published = True
        seconds = time.perf_counter() - tally.begun
        await self.sweep()
        durability = await durability_of(store, self.confirmation)
        if store.pool.is_unfenced:
            text = (
                "what was under way on a broken connection may be applied late: the server lets nobody end it"
            )
            self.hook(Noted(text=text, warning=True))
        per_point = await store.bytes_per_point(manifest, self.keys.name)
        if per_point is None:
            self.hook(Noted(text="the server forbids MEMORY: bytes a point are not known", warning=True))
        return replace(
            Report.of(manifest, self.keys.name, durability=durability),
            bytes_sent=tally.bytes_sent,
            seconds=seconds,
            points_per_s=tally.sent_points / seconds,
            bytes_per_point=per_point,
            retries=tally.retries,
            spooled_chunks=tally.spooled_chunks,
            resumed_chunks=tally.resumed_chunks,
            verified=verified,
            connections=store.pool.counts.to_json(),
            source_facts={} if source is None else dict(notes_of(source)),
            warnings=() if source is None else (*warnings_of(source), *remarks_of(source)),
        )

    def _norm(self) -> float | None:
        grid, weights = self.load.manifest.grid, [entry.weight for entry in self.tally.entries.values()]
        weight = total_weight(weights)
        if math.isinf(weight) and all(map(math.isfinite, weights)):
            raise InvalidInput(f"the norm of {self.keys.name} is too large for a float64")
        return None if grid.cell_volume is None else weight * grid.cell_volume / grid.shape[0]

    async def leave(self) -> bool:
        """Give the name up, so that the load can be resumed at once.

        False if the load is gone from the server, or another process has it. Then what this
        run wrote is removed, unless somebody else goes on with it.
        """
        with self._in_settle_time():
            try:
                await until_available(self.load.release, Retry(deadline=SETTLE_TIME))
            except (DataLost, LoadTaken):
                await self._remove()
                return False
        return True

    async def end_after(self, error: BaseException) -> BaseException:
        """Leave things in order after an error. Returns the error to raise: it says what is left, and what to do."""
        cause = first_error(error)
        if self.tally.published:
            return cause
        if isinstance(cause, InvalidInput | DataLost | LoadTaken) and not isinstance(cause, JournalHoles):
            await self._delete_spool()  # the load that it belongs to is gone
        if isinstance(cause, InvalidInput):
            with self._in_settle_time():
                if not await self.load.discard():  # gone with what the server lost, perhaps, but not its keys
                    await self._remove()
                await self._sweep()
            return cause
        if isinstance(cause, DataLost | LoadTaken):
            await self.leave()
            return cause
        if isinstance(cause, ServerUnavailable):
            return await self._after_outage(cause)
        if not await self.leave():
            await self._delete_spool()
            left = "the load is gone from the server, and nothing is left of it"
        else:
            left = f"what was stored can be resumed with {flag('resume')}"
        return cause.with_more(f"; {left}") if isinstance(cause, QwfError) else cause

    async def _after_outage(self, cause: ServerUnavailable) -> QwfError:
        waiting = self.spool.chunks
        with anyio.move_on_after(LAST_TRY, shield=True), suppress(QwfError):
            await self.load.release()
        if not waiting:
            return cause.with_more(f"; what was stored can be resumed with {flag('resume')}")
        if len(self.tally.entries.keys() | waiting) < len(self.load.manifest.plan):
            return ServerUnavailable(f"{cause}; {self.so_far()}: {again_with('resume')}")
        replay = phrase(command_line="run 'qwf resume'", python=again_with("resume"))
        there = f", with {option('url')} or QWF_URL as now: {self.store.pool.address.shown}"
        there = phrase(command_line="" if self.store.embedded else there, python="")
        return ReplayOwed(
            f"{cause}; all of {self.keys.name} is on the server or in the spool, where {len(waiting)} "
            f"chunks wait ({self.spool.path}): {replay} when the server is back{there}"
        )

    def so_far(self) -> str:
        """How much of the load is stored, and how much waits, in words."""
        chunks, waiting = len(self.load.manifest.plan), len(self.spool.chunks - self.tally.entries.keys())
        spooled = f", {waiting} more wait in the spool {self.spool.path}" if waiting else ""
        return f"{len(self.tally.entries)} of {chunks} chunks of {self.keys.name} are stored{spooled}"

    async def sweep(self) -> None:
        """Remove the generations in the name's trash. An error is noted, not raised."""
        with self._noting_errors():
            await self._sweep()

    async def _sweep(self) -> None:
        await sweep(self.store.pool, self.keys, batch=self.store.settings.clean_batch)

    async def _remove(self) -> None:
        """Delete what this run wrote, if nothing refers to it any more."""
        settings = self.store.settings
        await remove_generation(self.store.pool, self.keys, self.load.manifest, batch=settings.clean_batch)

    async def _delete_spool(self) -> None:
        with self._noting_errors():
            await self.spool.delete()

    @contextmanager
    def _in_settle_time(self) -> Iterator[None]:
        """Run the body for at most SETTLE_TIME, whatever is cancelled meanwhile. Its errors are noted, not raised."""
        with anyio.move_on_after(SETTLE_TIME, shield=True), self._noting_errors():
            yield

    @contextmanager
    def _noting_errors(self) -> Iterator[None]:
        """Run the body; an error of ours is noted, not raised."""
        try:
            yield
        except QwfError as error:
            self.hook(Noted(text=f"could not leave the server tidy: {error}", warning=True))


async def durability_of(store: Store, confirmation: Confirmation) -> str:
    """Make what is stored as durable as the servers offer, and say how durable that is, and whether replicas have it.

    Raises as `Store.secure`, and TooFewReplicas.
    """
    secured = await until_available(store.secure, store.pool.retry)
    if confirmation.has_too_few:
        raise TooFewReplicas(f"{confirmation.shown}; it is published: {again_with('resume')} to ask again")
    match confirmation.replicas:
        case None:
            return secured
        case 0:
            return f"{secured}; not confirmed by replicas: a failover may lose it"
        case count:
            return f"{secured}; replicated {count}"
