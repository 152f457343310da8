"""Where batches go. The server is one place; the engine needs to know no more than this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from redis.exceptions import ResponseError

from ..errors import QwfError
from ..server.connection import Connection, Pool
from ..server.failure import translate
from ..wire.batch import Batch, Buffer, Part


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
        buffers = [buffer for part in batch.parts for buffer in part.buffers]
        async with self._pool.connection() as connection:
            if not await _answered_as_expected(batch, buffers, connection):
                replies = await connection.exchange(buffers, batch.requests)
                done = 0
                for part in batch.parts:
                    self._check(replies[done : done + part.requests], part)
                    done += part.requests
            if self._applied is not None:
                await self._applied(batch, connection)

    def _check(self, replies: Sequence[Any], part: Part) -> None:
        """HSET replies with the number of new fields, RESTORE with OK. Raises what the first other reply means."""
        for number, reply in enumerate(replies):
            if isinstance(reply, int) or reply == b"OK":
                continue
            doing = f"writing {part.key_of(number).decode()}"
            if isinstance(reply, ResponseError):
                raise translate(reply, where=self._pool.address.shown, doing=doing) from reply
            raise QwfError(f"{self._pool.address.shown} while {doing}: unexpected reply {reply!r}")


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
