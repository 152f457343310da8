"""Where batches go: the promise that every sink keeps, and the sink that is a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Protocol

import anyio
import anyio.to_thread

from ..client.commands import after_asking, split_requests
from ..client.connection import Connection
from ..client.failure import Asked, KeyExists
from ..client.pool import Pool
from ..errors import QwfError, Refused, ServerUnavailable
from ..events import BatchWritten, Hook, Noted
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


Applied = Callable[[Batch, Connection, int], Awaitable[None]]
Permit = Callable[[], Awaitable[None]]
Lend = Callable[[Batch], AbstractAsyncContextManager[Connection]]
LendElsewhere = Callable[[Batch, Asked], AbstractAsyncContextManager[Connection]]


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

    Of a batch whose slot is on its way to another node, that one takes what the first does not
    have: `lend_elsewhere` gives the connection, and `applied` is told how many requests went over
    it, one more if it itself was sent there. Without it such a batch fails with Asked.

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
        lend_elsewhere: LendElsewhere | None = None,
    ) -> None:
        self._lend = lend
        self._applied = applied
        self._permit = permit
        self._hook = hook
        self._lend_elsewhere = lend_elsewhere
        self._restores = True

    async def write(self, batch: Batch) -> None:
        if self._permit is not None:
            await self._permit()
        begun = anyio.current_time()
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
        if self._hook is not None:
            seconds = anyio.current_time() - begun
            self._hook(BatchWritten(points=batch.points, nbytes=batch.nbytes, seconds=seconds))

    async def _error(self, batch: Batch) -> QwfError | None:
        """Send a batch. Returns the error that the first reply of a failed request means; None if all succeeded."""
        buffers = [buffer for part in batch.parts for buffer in part.buffers]
        if all(part.answer for part in batch.parts):
            async with self._lend(batch) as connection:
                if await _answered_as_expected(batch, buffers, connection):
                    with suppress(Asked):  # to go elsewhere with the entry of the journal
                        await self._note(batch, connection)
                        return None
        # If a reply was another one, that connection is closed, and is to be fenced: the batch is sent again, to
        # learn the reason.
        asked: Asked | None = None
        async with self._lend(batch) as connection:
            replies = await connection.exchange(buffers, batch.requests)
            errors = _errors_of(batch, replies, range(batch.requests), connection)
            for error in errors.values():
                if isinstance(error, Asked):
                    asked = error
                elif isinstance(error, ServerUnavailable):
                    raise error  # here, where the pool learns of it
                else:
                    return error
            if asked is None:
                try:
                    await self._note(batch, connection)
                except Asked as error:
                    asked = error
                else:
                    return None
        return await self._error_elsewhere(batch, buffers, list(errors), asked)

    async def _error_elsewhere(
        self, batch: Batch, buffers: Sequence[Buffer], numbers: Sequence[int], asked: Asked
    ) -> QwfError | None:
        """As `_error`, of the requests that another node is to be asked for."""
        if self._lend_elsewhere is None:
            raise asked
        requests = split_requests(buffers) if numbers else []
        async with self._lend_elsewhere(batch, asked) as connection:
            if numbers:
                sent = after_asking([requests[number] for number in numbers])
                replies = await connection.exchange(sent, 2 * len(numbers))
                for error in _errors_of(batch, replies[1::2], numbers, connection).values():
                    if isinstance(error, ServerUnavailable):
                        raise error
                    return error
            await self._note(batch, connection, elsewhere=len(numbers) + 1)
        return None

    async def _note(self, batch: Batch, connection: Connection, *, elsewhere: int = 0) -> None:
        if self._applied is not None:
            await self._applied(batch, connection, elsewhere)

    def _give_restore_up(self, refusal: QwfError) -> None:
        if self._restores and self._hook is not None:
            text = f"writing by HSET from now on, which is slower than RESTORE: {refusal}"
            self._hook(Noted(text=text, warning=True))
        self._restores = False


def _errors_of(
    batch: Batch, replies: Sequence[Any], numbers: Iterable[int], connection: Connection
) -> dict[int, QwfError]:
    """The errors that replies to these requests mean. HSET replies with the number of new fields, RESTORE with OK."""
    wrong = {
        number: reply
        for number, reply in zip(numbers, replies, strict=True)
        if not isinstance(reply, int) and reply != b"OK"
    }
    if not wrong:
        return {}
    keys = [part.key_of(number) for part in batch.parts for number in range(part.requests)]
    return {
        number: connection.error_of(reply, doing=f"writing {keys[number].decode()}")
        for number, reply in wrong.items()
    }


async def _answered_as_expected(batch: Batch, buffers: Sequence[Buffer], connection: Connection) -> bool:
    """Send the batch. Whether the replies are the expected bytes: to compare is much faster than to parse."""
    expected = b"".join(part.answer * part.requests for part in batch.parts)
    replies = memoryview(bytearray(len(expected)))
    return await connection.exchange_raw(
        buffers, replies, lambda start, stop: replies[start:stop] == expected[start:stop]
    )
