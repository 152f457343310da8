"""Where batches go. The server is one place; the engine needs to know no more than this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from ..server.connection import Connection
from ..server.pool import Pool
from ..server.reply import disbelieve
from ..wire.batch import Batch, Buffer, Part


class Sink(Protocol):
    """Takes batches, from several tasks at once."""

    async def write(self, batch: Batch) -> None:
        """Return once the whole batch is applied or in safety, and not before.

        Raises ServerUnavailable or OutOfMemory if the same batch may be tried again, another
        QwfError if it may not. After an error part of it may have been applied.
        """
        ...


Applied = Callable[[Batch, Connection], Awaitable[None]]
Permit = Callable[[], Awaitable[None]]


class ServerSink:
    """A server: every batch goes over one connection that is this task's alone meanwhile.

    `permit` is awaited before each batch, and may hold it up or raise.
    `applied` is awaited with each batch that was applied and the connection that it went
    over. A connection ends with the server's process, so what `applied` writes over it
    cannot come to stand on a server that was restarted from a copy without the batch.
    """

    def __init__(self, pool: Pool, applied: Applied | None = None, permit: Permit | None = None) -> None:
        self._pool = pool
        self._applied = applied
        self._permit = permit

    async def write(self, batch: Batch) -> None:
        if self._permit is not None:
            await self._permit()
        buffers = [buffer for part in batch.parts for buffer in part.buffers]
        async with self._pool.connection() as connection:
            if not await _answered_as_expected(batch, buffers, connection):
                replies = await connection.exchange(buffers, batch.requests)
                done = 0
                for part in batch.parts:
                    await self._check(connection, replies[done : done + part.requests], part)
                    done += part.requests
            if self._applied is not None:
                await self._applied(batch, connection)

    async def _check(self, connection: Connection, replies: Sequence[Any], part: Part) -> None:
        """HSET replies with the number of new fields, RESTORE with OK. Raises what the first other reply means."""
        for number, reply in enumerate(replies):
            if isinstance(reply, int) or reply == b"OK":
                continue
            doing = f"writing {part.key_of(number).decode()}"
            raise await disbelieve(connection, reply, where=self._pool.address.shown, doing=doing)


async def _answered_as_expected(batch: Batch, buffers: Sequence[Buffer], connection: Connection) -> bool:
    """Whether all replies are known beforehand, and these are they: bytes are compared much faster than parsed.

    If not, the batch is to be sent again, to learn what is the matter.
    """
    if not all(part.answer for part in batch.parts):
        return False
    expected = b"".join(part.answer * part.requests for part in batch.parts)
    got = memoryview(bytearray(len(expected)))
    return await connection.exchange_raw(
        buffers, got, lambda start, stop: got[start:stop] == expected[start:stop]
    )
