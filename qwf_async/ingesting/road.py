"""The road of a load's batches to the server, and into the spool while the server is away. It is put together here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

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
from .outage import Outage
from .report import Tally
from .sink import ServerSink


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """Where the batches of a load go in, and what runs beside the writers.

    `delivery` takes the batches, from several tasks at once; `outage.run` is to run beside them.

    A batch goes from `delivery`, which tries again, to `outage`, which chooses between the
    server and the spool. Before it goes to the server, the gate must be open and the lease
    valid. When the server has applied it, it is noted in the journal over the same connection.
    What waits in the spool is replayed to the server by a delivery of its own.
    """

    delivery: Delivery
    outage: Outage

    @classmethod
    def of(
        cls,
        load: Load,
        *,
        spool: LoadSpool,
        gate: Gate,
        lease: Lease,
        retry: Retry,
        settings: Settings,
        writers: int,
        tally: Tally,
        hook: Hook,
    ) -> Self:
        """The road of a load whose spool was looked for. `retry` is for the batches that come from the source."""

        async def permit() -> None:
            await gate.wait_until_open()
            await lease.wait_until_valid()

        async def record(batch: Batch, connection: Connection) -> None:
            entry = JournalEntry(digest=batch.digest, weight=batch.weight)
            await load.record({batch.chunk: entry}, connection)
            tally.entries[batch.chunk] = entry

        server = ServerSink(lambda batch: load.connection(batch.chunk), record, permit, hook)
        replay = Delivery(sink=server, gate=gate, retry=Retry(deadline=settings.spool_after), hook=hook)
        outage = Outage(
            server=server,
            spool=spool,
            reach_server=lease.renew,
            connection_lost=lease.doubt,
            deliver_to_server=replay.write,
            writers=writers,
            after=settings.spool_after,
            deadline=settings.deadline,
            hook=hook,
        )
        return cls(outage=outage, delivery=Delivery(sink=outage, gate=gate, retry=retry, hook=hook))
