"""Where batches go: the promise that every sink keeps, and the sink that is a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import anyio.to_thread

from ..client.connection import Connection
from ..client.failure import KeyExists
from ..client.pool import Pool
from ..errors import QwfError, Refused, ServerUnavailable
from ..events import Hook, Noted
from ..wire.batch import Batch, Buffer

LOOK_EVERY: Final = 0.25
"""Seconds between two attempts to reach a server that is away, at most."""


class Sink(Protocol):
    """Takes batches, from several tasks at once."""

    async def write(self, batch: Batch) -> None:
        """Return once the whole batch is stored, and not before: applied by the server, or committed to disk.

        To write the same batch again is harmless. Of two batches of one chunk, the one that
        was written last is stored in the end.

        Raises ServerUnavailable or OutOfMemory if the same batch may be tried again, another
        QwfError or AwayForTooLong if it may not. After an error part of it may have been
        stored, and other batches may still be written.
        """
        ...


class AwayForTooLong(ServerUnavailable):
    """The deadline of an outage is over, and the spool holds no more. Not to be tried again."""


Applied = Callable[[Batch, Connection], Awaitable[None]]
Permit = Callable[[], Awaitable[None]]
Lend = Callable[[Batch], AbstractAsyncContextManager[Connection]]


def writing_to(pool: Pool) -> Lend:
    """Lend connections of a pool, each to the server that has the keys of the batch."""
    return lambda batch: pool.writing(batch.parts[0].key)


class ServerSink:
    """A server: every batch goes over one connection, which no other task uses meanwhile.

    `lend` gives that connection for a batch, and fences those that broke under a batch (`Pool.writing`).
    `permit` is awaited before each batch, and may hold it up or raise. `applied` is awaited
    with each batch that was applied, and with the connection that it went over. A connection
    ends with the server's process. So what `applied` writes over it never gets to a server
    that was restarted from a copy without the batch.

    The server may refuse RESTORE. The batch is then written by HSET, whose error counts. If
    RESTORE was refused only because a bucket is there already, this holds for that batch
    alone. Then the bucket is ours, sent before with its reply lost; or it is something else,
    which HSET leaves alone if it is no hash. After any other refusal all batches are written by
    HSET, and `hook` is told.
    """

    def __init__(
        self,
        lend: Lend,
        applied: Applied | None = None,
        permit: Permit | None = None,
        hook: Hook | None = None,
    ) -> None:
        self._lend = lend
        self._applied = applied
        self._permit = permit
        self._hook = hook
        self._restores = True

    async def write(self, batch: Batch) -> None:
        if self._permit is not None:
            await self._permit()
        as_hset = batch.as_hset
        if as_hset is not None and not self._restores:
            batch, as_hset = await anyio.to_thread.run_sync(as_hset), None
        error = await self._error(batch)
        if as_hset is not None and isinstance(error, Refused):
            refusal, batch = error, await anyio.to_thread.run_sync(as_hset)
            error = await self._error(batch)
            if error is None and not isinstance(refusal, KeyExists):
                self._give_restore_up(refusal)
        if error is not None:
            raise error

    async def _error(self, batch: Batch) -> QwfError | None:
        """Send a batch. Returns the error that the first reply of a failed request means; None if all succeeded."""
        buffers = [buffer for part in batch.parts for buffer in part.buffers]
        if all(part.answer for part in batch.parts):
            async with self._lend(batch) as connection:
                if await _answered_as_expected(batch, buffers, connection):
                    await self._note(batch, connection)
                    return None
        # If a reply was another one, that connection is closed, and is to be fenced: the batch is sent again, to
        # learn the reason.
        async with self._lend(batch) as connection:
            error = await self._error_of(batch, buffers, connection)
            if error is None:
                await self._note(batch, connection)
            return error

    async def _error_of(
        self, batch: Batch, buffers: Sequence[Buffer], connection: Connection
    ) -> QwfError | None:
        """HSET replies with the number of new fields, RESTORE with OK."""
        replies = await connection.exchange(buffers, batch.requests)
        done = 0
        for part in batch.parts:
            for number, reply in enumerate(replies[done : done + part.requests]):
                if not isinstance(reply, int) and reply != b"OK":
                    doing = f"writing {part.key_of(number).decode()}"
                    return connection.error_of(reply, doing=doing)
            done += part.requests
        return None

    async def _note(self, batch: Batch, connection: Connection) -> None:
        if self._applied is not None:
            await self._applied(batch, connection)

    def _give_restore_up(self, refusal: QwfError) -> None:
        if self._restores and self._hook is not None:
            text = f"writing by HSET from now on, which is slower than RESTORE: {refusal}"
            self._hook(Noted(text=text, warning=True))
        self._restores = False


async def _answered_as_expected(batch: Batch, buffers: Sequence[Buffer], connection: Connection) -> bool:
    """Send the batch. Whether the replies are the expected bytes: to compare is much faster than to parse."""
    expected = b"".join(part.answer * part.requests for part in batch.parts)
    replies = memoryview(bytearray(len(expected)))
    return await connection.exchange_raw(
        buffers, replies, lambda start, stop: replies[start:stop] == expected[start:stop]
    )
