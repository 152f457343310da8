"""Connections to the server, all made in one way that survives cancellation and dead peers.

Every connection speaks RESP2, and uses no retries and no timeouts of the library. It is closed
after any error or cancellation between the first byte sent and the last reply read, so that a
reply can never be taken for another command's. The caller decides what is tried again.
"""

from __future__ import annotations

import logging
from asyncio import WriteTransport, get_running_loop
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import anyio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.connection import Connection as TCPConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from ..errors import QwfError
from .address import Address
from .commands import key_of
from .counts import ConnectionCounts
from .failure import ConnectionLost, HungUp, ServerCrowded, SlotParted, UnexpectedReply, translate
from .filling import Filling
from .greeting import greet, reach
from .guard import REPLY_BYTES
from .parser import Parser
from .redis_private import drop, parser_of, streams
from .reply import is_anything
from .slots import slot_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)

_log: Final = logging.getLogger(__name__)

SEND_BYTES: Final = 256 * 1024
"""Bytes handed to the kernel at a time. A peer that takes none of them for `stall_timeout` seconds counts as dead."""

BUFFER_BYTES: Final = 64 * 1024
"""Bytes that asyncio's transport buffers before a sender has to wait (its high-water mark)."""

PROGRESS_BYTES: Final = 4096
"""Bytes that count as progress while replies are read as bytes."""

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientId:
    """A connection as its server knows it: the number of the client, and the run id of the server."""

    number: int
    run: str


class Connection:
    """One connection, used by one task at a time. Opens itself when it is first used.

    With `from_replica` a replica of a cluster lets its data be read.

    `where` is the server's masked URL. `used` is when it was last given back, in seconds of the
    event loop's clock. `client_id` is what the server calls it while it is open, known once
    `fence.Fence.identify` has asked.
    """

    def __init__(
        self,
        address: Address,
        *,
        connect_timeout: float,
        answer_timeout: float,
        counts: ConnectionCounts,
        from_replica: bool = False,
    ) -> None:
        options = dict(address.options)
        kind: type[AbstractConnection] = options.pop("connection_class", TCPConnection)
        self.where = address.shown
        self._from_replica = from_replica
        self._answer_timeout = answer_timeout
        self._counts = counts
        self.used = 0.0
        self.client_id: ClientId | None = None
        self._connect_timeout = connect_timeout
        self._transport: WriteTransport | None = None
        self._connection = kind(
            **options
            | {
                "protocol": 2,
                "retry": Retry(NoBackoff(), 0),
                "socket_timeout": None,
                "socket_connect_timeout": connect_timeout,
                "health_check_interval": 0,
                "driver_info": None,  # 3 ms to find the library's version, and CLIENT SETINFO, for each connection
                "parser_class": Parser,
            }
        )
        self._parser: Parser = parser_of(self._connection)

    async def exchange(
        self,
        buffers: Sequence[Buffer],
        replies: int,
        *,
        stall_timeout: float | None = None,
        limit: int = REPLY_BYTES,
    ) -> list[Any]:
        """The replies to encoded requests, in order; an error reply is a ResponseError in its place.

        `limit` (bytes) is what the replies may take together, see `guard.reply_limit`.
        `stall_timeout` (seconds) bounds the time without progress, not the whole; infinity is
        allowed. Raises ServerUnavailable if the connection cannot be made or is lost, and
        Refused if the server does not let us in. After either, and after cancellation, the
        connection is closed and the next exchange opens a new one.
        """
        wait = self._answer_timeout if stall_timeout is None else stall_timeout
        await self._make_ready()
        try:
            posted = self._post(buffers)  # so that the server works while we go on
            # Not fail_after: it makes three objects more, 4 µs.
            with anyio.CancelScope(deadline=now() + wait) as scope:

                def progress() -> None:
                    scope.deadline = now() + wait

                if not posted:
                    await self._send(buffers, progress)
                answers = await self._parser.read_replies(replies, progress, limit)
            _check_time(scope)
            self._check_rest()
        except BaseException as error:
            self._failed(error)
            raise
        return answers

    async def exchange_raw(
        self, buffers: Sequence[Buffer], into: memoryview, matches: Callable[[int, int], bool]
    ) -> bool:
        """Send encoded requests, and fill `into` with the bytes of their replies; True if all of them match.

        As bytes come, `matches(start, stop)` is asked whether the bytes start … stop−1 are as
        expected. At the first no the connection is closed, because nobody knows where the replies
        end, and the result is False. Errors are those of `exchange`. Only PROGRESS_BYTES more count
        as progress, so that a peer cannot make it last by sending byte after byte.
        """
        awaited, noted = PROGRESS_BYTES, 0.0
        await self._make_ready()
        try:
            with anyio.fail_after(self._answer_timeout) as scope:

                def progress() -> None:
                    scope.deadline = now() + self._answer_timeout

                def came(start: int, stop: int) -> bool:
                    nonlocal awaited, noted
                    # To set a deadline takes as long as to receive 64 KiB: not more often than is of use.
                    if stop >= awaited and now() >= noted:
                        awaited, noted = stop + PROGRESS_BYTES, now() + self._answer_timeout / 100
                        progress()
                    return matches(start, stop)

                # Beside the library's streams and its parser, which hold nothing back between exchanges.
                filling = Filling(streams(self._connection)[1].transport, into, came)
                try:
                    filling.begin()
                    await self._send(buffers, progress)
                    matched = await filling.filled()
                finally:
                    filling.end()
            if not matched:
                self.close()
                return False
            self._check_rest(more=filling.has_rest)
        except BaseException as error:
            self._failed(error)
            raise
        return True

    async def call(
        self,
        *command: str | bytes | int | float,
        expect: Callable[[Any], TypeGuard[T]] = is_anything,
        stall_timeout: float | None = None,
        doing: str = "",
        limit: int = REPLY_BYTES,
        asking: bool = False,
    ) -> T:
        """The reply to one command; `asking` it of a node to which the slot of its key is on its way.

        Raises as `exchange` does, and the error of ours that an error reply stands for. If
        `expect` is not true of the reply, closes the connection and raises UnexpectedReply.
        """
        before = [["ASKING"]] if asking else []
        *_, reply = await self.pipeline([*before, command], stall_timeout=stall_timeout, limit=limit)
        try:
            return self.expected(reply, expect, doing=doing or str(command[0]))
        except SlotParted as error:
            raise error.at(slot_of(key_of(command))) from error

    def expected(self, reply: Any, expect: Callable[[Any], TypeGuard[T]], *, doing: str) -> T:
        """The reply, if it is no error and `expect` is true of it; else raises as `call`."""
        if isinstance(reply, ResponseError) or not expect(reply):
            raise self.error_of(reply, doing=doing)
        return reply

    def error_of(self, reply: Any, *, doing: str) -> QwfError:
        """The error to raise for a reply that is not as it should be.

        After an error reply the connection is in step, and is left as it is; else it is closed.
        """
        if isinstance(reply, ResponseError):
            return translate(reply, where=self.where, doing=doing)
        self.close()
        shown = f"a list of {len(reply)}" if isinstance(reply, list) else f"{reply!r:.60}"
        return UnexpectedReply(
            f"{self.where} while {doing}: unexpected reply ({shown}); is it a Redis server?"
        )

    async def pipeline(
        self,
        commands: Sequence[Sequence[str | bytes | int | float]],
        *,
        stall_timeout: float | None = None,
        limit: int = REPLY_BYTES,
    ) -> list[Any]:
        """The replies to commands that are sent together; an error reply is a ResponseError in its place."""
        packed = self._connection.pack_commands(commands)
        return await self.exchange(packed, len(commands), stall_timeout=stall_timeout, limit=limit)

    def close(self) -> None:
        """Close the connection at once; the next exchange opens a new one.

        Nothing is awaited, so a task that is being cancelled can call it, too.
        """
        # Aborted, not closed: to close would still send what is buffered at some later time, and
        # would wait for ever for a peer that does not read.
        self.client_id = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        # A dying connection can raise nearly anything. It is gone either way.
        with suppress(Exception):
            drop(self._connection)

    @property
    def is_open(self) -> bool:
        return bool(self._connection.is_connected)

    async def open(self) -> None:
        """Connect, and be let in. Raises ServerCrowded if there is no room for us, else as `exchange` does."""
        try:
            with anyio.fail_after(self._connect_timeout):
                # Kept, because the library forgets it when sending fails.
                self._transport = await reach(self._connection, where=self.where)
                await greet(self._connection, where=self.where)
                await self._connection.on_connect_check_health(check_health=False)
                if self._from_replica:
                    await self._connection.send_command("READONLY", check_health=False)
                    await self._connection.read_response()
        except BaseException as error:
            self.close()
            if not isinstance(error, Exception):
                raise
            meaning = translate(error, where=self.where)
            self._counts.timeouts += isinstance(error, TimeoutError)
            if isinstance(meaning, ServerCrowded | HungUp):
                self._counts.turned_away += 1
            else:
                self._counts.failed += 1
            _log.info("no connection: %s", meaning)
            raise meaning from error
        self._counts.opened += 1
        self.used = now()
        _log.info("connected to %s", self.where)

    def _post(self, buffers: Sequence[Buffer]) -> bool:
        """Send the buffers without waiting if they are few bytes; False if they are too many for that."""
        if sum(map(len, buffers)) > BUFFER_BYTES:
            return False
        streams(self._connection)[1].writelines(buffers)
        return True

    async def _send(self, buffers: Sequence[Buffer], progress: Callable[[], None]) -> None:
        _, writer = streams(self._connection)
        for group in send_groups(buffers):
            writer.writelines(group)
            await writer.drain()
            progress()

    async def _make_ready(self) -> None:
        """Open the connection if it is closed, and open it anew if bytes came that nobody had asked for."""
        if self._connection.is_connected and self._parser.has_rest:
            self.close()
        if not self._connection.is_connected:
            await self.open()

    def _check_rest(self, *, more: bool = False) -> None:
        """Raise UnexpectedReply if more came than was asked for: replies and requests no longer match then."""
        if more or self._parser.has_rest:
            raise UnexpectedReply(f"{self.where}: more replies than requests; is it a Redis server?")

    def _failed(self, error: BaseException) -> None:
        """Close the connection after an error, and raise ours for it unless it is a cancellation."""
        self.close()
        if isinstance(error, Exception):
            meaning = translate(error, where=self.where)
            self._counts.timeouts += isinstance(error, TimeoutError)
            self._counts.lost += isinstance(meaning, ConnectionLost)
            _log.info("connection closed: %s", meaning)
            raise meaning from error


def now() -> float:
    """The time of anyio.current_time(), in seconds. That takes 2 µs more, and an HGET asks five times."""
    return get_running_loop().time()


def _check_time(scope: anyio.CancelScope) -> None:
    """Raise TimeoutError if the scope was ended by its deadline."""
    if scope.cancelled_caught:
        raise TimeoutError


def send_groups(buffers: Sequence[Buffer]) -> list[Sequence[Buffer]]:
    """The buffers in groups of less than twice SEND_BYTES. None is joined or copied; long ones are cut into views."""
    if any(len(buffer) > SEND_BYTES for buffer in buffers):
        buffers = [
            memoryview(buffer)[start : start + SEND_BYTES]
            for buffer in buffers
            for start in range(0, len(buffer), SEND_BYTES)
        ]
    ends = list(accumulate(map(len, buffers)))
    groups, start, sent = [], 0, 0
    while start < len(ends):
        stop = bisect_left(ends, sent + SEND_BYTES, start) + 1
        groups.append(buffers[start:stop])
        start, sent = stop, ends[min(stop, len(ends)) - 1]
    return groups
