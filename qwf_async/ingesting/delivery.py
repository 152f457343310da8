"""A writer: takes batches from the stream and gets each of them through, or says why not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import anyio

from ..client.failure import ServerBusy
from ..client.retry import Retry
from ..errors import OutOfMemory, ServerUnavailable
from ..events import GateMoved, Hook, Retried
from ..wire.batch import Batch
from .gate import Gate
from .outage import LOOK_EVERY, AwayForTooLong
from .sink import Sink
from .stream import BatchStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """`retry` bounds how long one batch is tried for while the server is away or busy.

    `ack` is awaited once for each batch that was written.
    """

    sink: Sink
    gate: Gate
    ack: Callable[[Batch], Awaitable[None]]
    retry: Retry
    hook: Hook

    async def run(self, stream: BatchStream) -> None:
        """Write until the stream has ended.

        Raises ServerUnavailable if the deadline of a batch is over, and what the sink
        raises if that is final.
        """
        while True:
            try:
                batch = await stream.receive()
            except anyio.EndOfStream:
                return
            await self.deliver(batch)
            await self.ack(batch)

    async def deliver(self, batch: Batch) -> None:
        """Try to write a batch until it is written, or until trying makes no sense. Raises as `run`."""
        away_since: float | None = None
        attempt = 0
        while True:
            try:
                await self.sink.write(batch)
            except AwayForTooLong:
                raise
            except OutOfMemory as error:
                away_since = None
                attempt += 1
                self._report(batch, attempt, error)
                if not self.gate.is_shut:
                    self.gate.shut()
                    self.hook(GateMoved(shut=True, reason=str(error)))
            except ServerUnavailable as error:
                attempt += 1
                now = anyio.current_time()
                away_since = now if away_since is None else away_since
                # A busy server is left alone for longer; one that is away is looked for as often as by the outage.
                retry = self.retry if isinstance(error, ServerBusy) else replace(self.retry, cap=LOOK_EVERY)
                pause = retry.pause(attempt, now - away_since)
                if pause is None:
                    raise
                self._report(batch, attempt, error)
                await anyio.sleep(pause)
            else:
                self.gate.relieved()
                return

    def _report(self, batch: Batch, attempt: int, error: Exception) -> None:
        self.hook(Retried(chunk=batch.chunk, attempt=attempt, reason=str(error)))
