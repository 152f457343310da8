"""Where batches go. The server is one place; the engine needs to know no more than this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from redis.exceptions import ResponseError

from ..errors import QwfError
from ..server.connection import Connection, Pool
from ..server.failure import translate
from ..wire.batch import Batch


class Sink(Protocol):
    """Takes batches, from several tasks at once."""

    async def write(self, batch: Batch) -> None:
        """Return once the whole batch is applied, and not before.

        Raises ServerUnavailable or OutOfMemory if the same batch may be tried again, another
        QwfError if it may not. After an error part of it may have been applied.
        """
        ...


Applied = Callable[[Batch, Connection], Awaitable[None]]


class ServerSink:
    """A server: every batch goes over one connection that is this task's alone meanwhile.

    `applied` is awaited with each batch that was applied and the connection that it went
    over. A connection ends with the server's process, so what `applied` writes over it
    cannot come to stand on a server that was restarted from a copy without the batch.
    """

    def __init__(self, pool: Pool, applied: Applied | None = None) -> None:
        self._pool = pool
        self._applied = applied

    async def write(self, batch: Batch) -> None:
        async with self._pool.connection() as connection:
            buffers = [buffer for part in batch.parts for buffer in part.buffers]
            replies = await connection.exchange(buffers, batch.requests)
            done = 0
            for part in batch.parts:
                self._check(replies[done : done + part.requests], part.key)
                done += part.requests
            if self._applied is not None:
                await self._applied(batch, connection)

    def _check(self, replies: Sequence[Any], key: bytes) -> None:
        """Every reply to HSET is the number of new fields. Raises the error that the first other one means."""
        for reply in replies:
            if isinstance(reply, int):
                continue
            doing = f"writing {key.decode()}"
            if isinstance(reply, ResponseError):
                raise translate(reply, where=self._pool.address.shown, doing=doing) from reply
            raise QwfError(f"{self._pool.address.shown} while {doing}: unexpected reply {reply!r}")
