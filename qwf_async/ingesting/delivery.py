"""A sink that writes each batch to another sink, again and again until it is written or trying makes no sense."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import anyio

from ..client.failure import Redirected, ServerBusy
from ..client.retry import Retry
from ..errors import OutOfMemory, ServerUnavailable
from ..events import GateMoved, Hook, Retried
from ..wire.batch import Batch
from .gate import Gate
from .sink import LOOK_EVERY, AwayForTooLong, Sink


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Writes batches to `sink`, each again and again until it is written.

    `retry` bounds how long one batch is tried for while the server is away or busy.

    When the server has no memory, the gate is shut: the next attempt waits there until the
    watchdog opens it, for as long as the watchdog allows.
    """

    sink: Sink
    gate: Gate
    retry: Retry
    hook: Hook

    async def write(self, batch: Batch) -> None:
        """Return once the batch is written.

        Raises ServerUnavailable if the deadline of the batch is over, and what the sink
        raises if that is final.
        """
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
                    self.hook(GateMoved(where=self.gate.where, shut=True, reason=str(error)))
            except ServerUnavailable as error:
                attempt += 1
                now = anyio.current_time()
                away_since = now if away_since is None else away_since
                # A busy server is left alone for longer; one that is away is looked for as often as by the outage.
                retry = self.retry if isinstance(error, ServerBusy) else replace(self.retry, cap=LOOK_EVERY)
                pause = retry.pause(attempt, now - away_since)
                if attempt == 1 and isinstance(error, Redirected):
                    pause = 0.0  # to the node that has the slot now
                if pause is None:
                    raise
                self._report(batch, attempt, error)
                await anyio.sleep(pause)
            else:
                self.gate.note_progress()
                return

    def _report(self, batch: Batch, attempt: int, error: Exception) -> None:
        self.hook(Retried(chunk=batch.chunk, attempt=attempt, reason=str(error), why=_class_of(error)))


def _class_of(error: Exception) -> Literal["away", "busy", "moved", "memory"]:
    match error:
        case OutOfMemory():
            return "memory"
        case Redirected():
            return "moved"
        case ServerBusy():
            return "busy"
    return "away"
