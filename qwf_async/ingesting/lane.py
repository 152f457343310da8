"""The lane of a node: the road of its batches to the server, and into the spool while the server is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

import anyio

from ..catalog.journal import JournalEntry
from ..catalog.load import Load
from ..client.connection import Connection
from ..client.retry import Retry
from ..events import Hook
from ..settings import Settings
from ..wire.batch import Batch
from .delivery import Delivery
from .gate import Gate
from .lease import Lease
from .load_spool import LoadSpool
from .outage import Outage, OutageState
from .report import Tally
from .sink import ServerSink
from .watchdog import Watchdog


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Where the batches of a node go in, and what runs beside its writers.

    `delivery` takes the batches, from `writers` tasks at once; `run` is to run beside them.

    A batch goes from `delivery`, which tries again, to `outage`, which chooses between the
    server and the spool. Before it goes to the server, the gate must be open and the lease
    valid. When the server has applied it, it is noted in the journal over the same connection.
    What waits in the spool is replayed to the server by a delivery of its own.

    A writer so waits for this node alone. Which node a batch goes to is asked at each attempt: the
    slots of a node that died or left go on elsewhere.
    """

    watchdog: Watchdog
    outage: Outage
    delivery: Delivery
    writers: int

    @classmethod
    def of(
        cls,
        load: Load,
        *,
        watchdog: Watchdog,
        spool: LoadSpool,
        found: frozenset[int],
        lease: Lease,
        has_record: Callable[[], bool],
        look: Callable[[int], Awaitable[object]],
        changed: Callable[[], object],
        retry: Retry,
        settings: Settings,
        writers: int,
        tally: Tally,
        hook: Hook,
    ) -> Self:
        """A lane of a load.

        - `found` are the chunks that the spool holds for this lane.
        - `has_record`: whether its node is that of the load's record, with the lease. A broken
          connection puts that in doubt, and that node alone.
        - `look` asks the node of a chunk, as far as is known now, for a sign of life.
        - `changed` is called when it may have become ready or ceased to be.
        - `retry` is for the batches that come from the source.
        """

        gate = watchdog.gate

        async def permit() -> None:
            await gate.wait_until_open()
            await lease.wait_until_valid(if_doubted=has_record())

        async def record(batch: Batch, connection: Connection, elsewhere: int) -> None:
            if 0 < elsewhere < batch.requests + 1:
                tally.doubtful.add(batch.chunk)
            entry = JournalEntry(digest=batch.digest, weight=batch.weight)
            await load.record({batch.chunk: entry}, connection, elsewhere=elsewhere > 0)
            tally.entries[batch.chunk] = entry

        async def reach_server() -> None:
            if has_record():
                await lease.renew()
            else:
                await lease.wait_until_valid(if_doubted=False)
                await look(min(outage.waiting))

        def connection_lost() -> None:
            if has_record():
                lease.doubt()

        server = ServerSink(
            lambda batch: load.connection(batch.chunk),
            record,
            permit,
            hook,
            lambda batch, asked: load.connection_elsewhere(batch.chunk, asked),
        )
        replay = Delivery(sink=server, gate=gate, retry=Retry(deadline=settings.spool_after), hook=hook)
        outage = Outage(
            server=server,
            spool=spool,
            reach_server=reach_server,
            connection_lost=connection_lost,
            deliver_to_server=replay.write,
            writers=writers,
            after=settings.spool_after,
            deadline=settings.deadline,
            hook=hook,
            found=found,
            changed=changed,
        )
        delivery = Delivery(sink=outage, gate=gate, retry=retry, hook=hook)
        return cls(watchdog=watchdog, outage=outage, delivery=delivery, writers=writers)

    async def run(self) -> None:
        """Watch the node's memory, and wait for it whenever it is away, until cancelled.

        Raises as `Watchdog.run` and `Outage.run`.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.watchdog.run)
            tasks.start_soon(self.outage.run)

    @property
    def gate(self) -> Gate:
        return self.watchdog.gate

    @property
    def is_put_off(self) -> bool:
        """Whether a batch that came now would have to wait, or go into the spool."""
        return self.outage.state is not OutageState.THERE or self.outage.is_quiet or self.gate.is_shut

    @property
    def spools(self) -> bool:
        """Whether its batches go into the spool now."""
        return self.outage.state is OutageState.AWAY
