"""What a process writes of a load that others write too: batches, each sent, checked and journalled.

Nothing is kept here but connections: there is no spool, and no look at the server's memory. A
batch waits while the server is away, for the setting `deadline`, or has no memory, for
`gate_timeout`. Then the error is raised, and whoever gave the task out may give it out again.

Before each batch the lease must be valid on this process's clock. It is renewed on the server when
a third of it is over, which also tells whether the load is still the one of the ticket. The
connections are in the load's record while anything may be under way on them. So a process that
slept while the load was discarded, taken over or published finds them ended. Where the server
forbids CLIENT KILL it may write once more. It notices that before it returns, and removes what
nobody knows; if it dies before, `clean --orphans` finds the keys.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self

import anyio
from anyio import to_thread

from ..catalog.cleaning import remove_generation
from ..catalog.journal import JournalEntry
from ..catalog.load import Load, LoadTaken
from ..catalog.shared_load import joined_load
from ..catalog.still_published import is_published
from ..client.connection import Connection
from ..client.retry import Retry, until_available
from ..errors import DataLost, OutOfMemory, Refused, ServerUnavailable, first_error
from ..ingesting.producer import Encoder
from ..ingesting.sink import ServerSink
from ..store.store import Store
from ..wire.batch import Batch
from .background import background
from .ticket import Ticket

WINDOW: Final = 4
"""Chunks that a task has under way at once."""


class Published(Refused):
    """The load of a ticket was published already, whole: there is nothing to write any more."""


@dataclass(slots=True, kw_only=True)
class Writer:
    """One process's part in a load, for all of its tasks. It is used on one event loop."""

    store: Store
    ticket: Ticket
    load: Load
    _sink: ServerSink = field(init=False)
    _renew_at: float = -math.inf
    _renewing: anyio.Lock = field(default_factory=anyio.Lock)
    _tasks: int = 0
    _counting: anyio.Lock = field(default_factory=anyio.Lock)

    @classmethod
    def of(cls, store: Store, ticket: Ticket) -> Self:
        load = joined_load(store.pool, ticket.keys, ticket.manifest, token=ticket.token, ttl=ticket.ttl)
        return cls(store=store, ticket=ticket, load=load)

    def __post_init__(self) -> None:
        load = self.load
        self._sink = ServerSink(
            lambda batch: load.connection(batch.chunk),
            self._record,
            self._permit,
            lend_elsewhere=lambda batch, asked: load.connection_elsewhere(batch.chunk, asked),
        )

    async def write(self, encoder: Encoder, numbers: Iterable[int]) -> None:
        """Write these chunks; return when all are stored and journalled. Raises Published, and as `Target`."""
        async with self.sending(encoder) as send:
            for number in numbers:
                await send(number)

    @asynccontextmanager
    async def sending(
        self, encoder: Encoder, stored: Callable[[Batch], object] = lambda batch: None
    ) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
        """Yield a function that encodes a chunk, in a thread, and sends it beside what the body does.

        It waits while WINDOW chunks are on their way. `stored` is called with each that is stored and
        journalled, and the block ends when all are. Raises as `write`; the body is cancelled then.
        """
        room = anyio.Semaphore(WINDOW)

        async def deliver(batch: Batch) -> None:
            await self._deliver(batch)
            stored(batch)
            room.release()

        async def send(number: int) -> None:
            await room.acquire()
            try:
                batch = await to_thread.run_sync(encoder.batch, number, abandon_on_cancel=True)
            except BaseException:
                room.release()
                raise
            tasks.start_soon(deliver, batch)

        try:
            async with self._task(), anyio.create_task_group() as tasks:
                yield send
        except (Exception, BaseExceptionGroup) as error:
            cause = first_error(error)
            if isinstance(cause, LoadTaken | DataLost):
                cause = await self._tidied(cause)
            if cause is error:
                raise
            raise cause from error

    @property
    def is_over(self) -> bool:
        """Whether nothing was written for so long that the lease is over."""
        return self._tasks == 0 and -math.inf < self._renew_at < anyio.current_time() - self.load.ttl

    async def _deliver(self, batch: Batch) -> None:
        """Return once the batch is stored and journalled."""
        pool, patience = self.store.pool, Retry(deadline=self.store.settings.gate_timeout)
        failures, since = 0, 0.0
        while True:
            try:
                return await until_available(lambda: self._sink.write(batch), pool.retry)
            except OutOfMemory:
                now = anyio.current_time()
                failures, since = failures + 1, since if failures else now
                pause = patience.pause(failures, now - since)
                if pause is None:
                    raise
            await anyio.sleep(pause)

    async def _record(self, batch: Batch, connection: Connection, elsewhere: int) -> None:
        """Journal a batch. Raises ServerUnavailable if it went in pieces to two nodes, so that it is written again."""
        if 0 < elsewhere < batch.requests + 1:
            raise ServerUnavailable(f"the slot of chunk {batch.chunk} is on its way to another node")
        entry = JournalEntry(digest=batch.digest, weight=batch.weight)
        await self.load.record({batch.chunk: entry}, connection, elsewhere=elsewhere > 0)

    async def _permit(self) -> None:
        """Return if the lease is valid for two thirds of its time; else renew it first."""
        if anyio.current_time() >= self._renew_at:
            async with self._renewing:
                asked = anyio.current_time()
                if asked >= self._renew_at:
                    await self.load.renew()
                    self._renew_at = asked + self.load.ttl / 3

    @asynccontextmanager
    async def _task(self) -> AsyncIterator[None]:
        """Run the body as one of the tasks. After the last one no connection of ours is in the load's record.

        Where the body fails they stay there: they are still to be ended by whoever takes the load.
        """
        async with self._counting:
            self._tasks += 1
        try:
            yield
        except BaseException:
            self._tasks -= 1
            raise
        async with self._counting:
            self._tasks -= 1
            if self._tasks == 0:
                await until_available(self.load.settle, self.store.pool.retry)

    async def _tidied(self, loss: LoadTaken | DataLost) -> Refused | DataLost:
        """The error to raise when the load is not ours any more; what nobody knows of it is removed."""
        pool, keys, manifest = self.store.pool, self.ticket.keys, self.load.manifest
        if await is_published(pool, keys, manifest.generation):
            return Published(f"{keys.name} was published already: nothing more is written")
        await remove_generation(pool, keys, manifest, batch=self.store.settings.clean_batch)
        return loss


async def write_chunks(ticket: Ticket, encoder: Encoder, numbers: Iterable[int]) -> None:
    """Write chunks of a load on the loop of this process (`background`); see `Writer.write`."""
    here, store = background(), await ticket.place.open()
    writer = here.writers.get(ticket.token)
    if writer is None:
        writer = here.writers[ticket.token] = Writer.of(store, ticket)
        for token in [token for token, other in here.writers.items() if other.is_over]:
            del here.writers[token]
    await writer.write(encoder, numbers)
