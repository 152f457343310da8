"""Connections to the server, by one recipe that survives cancellation and dead peers.

Every connection speaks RESP2, has no retries and no timeout of the library's own, and is
dropped on anything that happens between the first byte sent and the last reply read: a
reply can then never be taken for another command's. Retrying is the caller's business.
"""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter, WriteTransport, get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import anyio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.connection import Connection as TCPConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ResponseError

from ..errors import ServerUnavailable
from .address import Address
from .failure import translate

T = TypeVar("T")

SEND_BYTES: Final = 256 * 1024
"""Bytes handed to the kernel at a time; a peer that takes none of them for `patience` seconds is dead."""

READ_BYTES: Final = 128 * 1024
"""Bytes taken from the reader at a time: as many as it holds before it stops reading from the socket."""

Buffer = bytes | bytearray | memoryview


@dataclass(slots=True)
class ConnectionCounts:
    """What the pool has seen: connections opened, attempts that failed, times one was borrowed."""

    opened: int = 0
    failed: int = 0
    borrowed: int = 0


class Connection:
    """One connection, used by one task at a time. Opens itself when it is first used.

    `used` is when it was last given back, by the clock of the event loop.
    """

    def __init__(
        self, address: Address, *, connect_timeout: float, answer_timeout: float, counts: ConnectionCounts
    ) -> None:
        options = dict(address.options)
        kind: type[AbstractConnection] = options.pop("connection_class", TCPConnection)
        self._where = address.shown
        self._answer_timeout = answer_timeout
        self._counts = counts
        self.used = 0.0
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
            }
        )

    async def exchange(
        self, buffers: Sequence[Buffer], replies: int, *, patience: float | None = None
    ) -> list[Any]:
        """Send encoded requests and read their replies, an error reply in its place as ResponseError.

        `patience` (seconds) bounds the time without progress, not the whole; infinity is
        allowed. Raises ServerUnavailable if the connection cannot be made or is lost, and
        Refused if the server does not let us in; after either, and after cancellation,
        the connection is closed and the next exchange opens a new one.
        """
        wait = self._answer_timeout if patience is None else patience
        connection = self._connection
        answers: list[Any] = []
        try:
            if not connection.is_connected:
                await self._open()
            with anyio.fail_after(wait) as scope:
                for some in _pieces(buffers):
                    await connection.send_packed_command(cast("list[bytes]", some), check_health=False)
                    scope.deadline = _now() + wait
                for left in range(replies, 0, -1):
                    try:
                        answers.append(await connection.read_response())
                    except ResponseError as error:
                        answers.append(error)
                    if left > 1:
                        scope.deadline = _now() + wait
        except BaseException as error:
            await self._drop()
            if isinstance(error, Exception):
                raise translate(error, where=self._where) from error
            raise
        return answers

    async def exchange_raw(
        self, buffers: Sequence[Buffer], into: memoryview, matches: Callable[[int, int], bool]
    ) -> bool:
        """Send encoded requests and read the bytes of their replies into `into`, as many as it holds.

        As they come, `matches(start, stop)` is asked whether the bytes start … stop−1 are
        what was expected. At the first no the connection is closed, since it is not known
        where the replies end, and the result is False. The rest as for `exchange`.
        """
        connection = self._connection
        got = 0
        try:
            if not connection.is_connected:
                await self._open()
            # Read beside the library's parser, which holds nothing back between exchanges. There is no public way.
            reader = cast("StreamReader", connection._reader)
            with anyio.fail_after(self._answer_timeout) as scope:
                for some in _pieces(buffers):
                    await connection.send_packed_command(cast("list[bytes]", some), check_health=False)
                    scope.deadline = _now() + self._answer_timeout
                while got < len(into):
                    data = await _some(reader, len(into) - got)
                    scope.deadline = _now() + self._answer_timeout
                    into[got : got + len(data)] = data
                    if not matches(got, got + len(data)):
                        await self._drop()
                        return False
                    got += len(data)
        except BaseException as error:
            await self._drop()
            if isinstance(error, Exception):
                raise translate(error, where=self._where) from error
            raise
        return True

    async def call(
        self, *command: str | bytes | int | float, patience: float | None = None, doing: str = ""
    ) -> Any:
        """Send one command and return its reply. Raises the error of ours that an error reply means."""
        (reply,) = await self.pipeline([command], patience=patience)
        if isinstance(reply, ResponseError):
            raise translate(reply, where=self._where, doing=doing or str(command[0]))
        return reply

    async def pipeline(
        self, commands: Sequence[Sequence[str | bytes | int | float]], *, patience: float | None = None
    ) -> list[Any]:
        """Send commands together and return their replies, error replies in place as ResponseError."""
        packed = self._connection.pack_commands(commands)
        return await self.exchange(packed, len(commands), patience=patience)

    async def aclose(self) -> None:
        await self._drop()

    @property
    def is_open(self) -> bool:
        return bool(self._connection.is_connected)

    async def _open(self) -> None:
        try:
            with anyio.fail_after(self._connect_timeout):
                await self._connection.connect()  # type: ignore[no-untyped-call] # untyped in redis-py
                # Kept, because the library forgets it when sending fails. There is no public way to it.
                self._transport = cast("StreamWriter", self._connection._writer).transport
        except BaseException:
            self._counts.failed += 1
            raise
        self._counts.opened += 1

    async def _drop(self) -> None:
        # Aborted, not closed: closing would still send what is buffered, at some later time, and
        # would wait for ever for a peer that does not read.
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        try:
            with anyio.CancelScope(shield=True):
                await self._connection.disconnect(nowait=True)
        except Exception as error:  # a dying connection can raise nearly anything; it is gone either way
            if not self._connection.is_connected:
                return
            raise translate(error, where=self._where) from error


class Pool:
    """At most `size` connections to one server, lent to one task at a time.

    All times in seconds. One that lay idle for longer than `keep_idle` (0: any time) is not
    trusted, and opened anew. The rest as for `Connection` and `until_available`.
    """

    def __init__(
        self,
        address: Address,
        *,
        size: int = 50,
        connect_timeout: float = 5.0,
        answer_timeout: float = 5.0,
        keep_idle: float = 30.0,
        deadline: float = 60.0,
    ) -> None:
        self.address = address
        self.counts = ConnectionCounts()
        self.deadline = deadline
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._keep_idle = keep_idle
        self._idle: deque[Connection] = deque()
        # fast_acquire: without it a free place costs a turn of the event loop, a sixth of the time of one HGET.
        self._places = anyio.Semaphore(size, fast_acquire=True)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection, waiting for one to come back if all are lent."""
        async with self._places:
            connection = self._idle.pop() if self._idle else self._new()
            self.counts.borrowed += 1
            try:
                if self._keep_idle and _now() - connection.used > self._keep_idle:
                    await connection.aclose()
                yield connection
            finally:
                connection.used = _now()
                self._idle.append(connection)

    async def call(self, *command: str | bytes | int | float, doing: str = "") -> Any:
        """`call_once`, tried again while the server is unavailable.

        For commands that may be applied twice with the same result. Raises
        ServerUnavailable once `deadline` seconds have passed without success.
        """
        return await until_available(lambda: self.call_once(*command, doing=doing), self.deadline)

    async def call_once(self, *command: str | bytes | int | float, doing: str = "") -> Any:
        """`Connection.call` on any connection."""
        async with self.connection() as connection:
            return await connection.call(*command, doing=doing)

    async def probe(self) -> None:
        """One PING, not tried again: whether there is a server that lets us in."""
        async with self.connection() as connection:
            await connection.call("PING", doing="connecting")

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().aclose()

    def _new(self) -> Connection:
        return Connection(
            self.address,
            connect_timeout=self._connect_timeout,
            answer_timeout=self._answer_timeout,
            counts=self.counts,
        )


async def until_available(operation: Callable[[], Awaitable[T]], patience: float) -> T:
    """Await `operation()`, again and again while it raises ServerUnavailable, and return its result.

    Jittered exponential back-off (0.05 to 1 s) within one monotonic deadline of `patience`
    seconds, after which the last error propagates. `operation` must be idempotent.
    """
    deadline = _now() + patience
    failures = 0
    while True:
        try:
            return await operation()
        except ServerUnavailable:
            failures += 1
            pause = ExponentialWithJitterBackoff(cap=1.0, base=0.05).compute(failures)
            if _now() + pause > deadline:
                raise
        await anyio.sleep(pause)


def _now() -> float:
    """What anyio.current_time() says, without asking which library runs: 2 µs, and an HGET asks five times."""
    return get_running_loop().time()


async def _some(reader: StreamReader, most: int) -> bytes:
    """What has come, at least a byte. Raises ConnectionResetError at the end of the stream."""
    data = await reader.read(min(READ_BYTES, most))
    if not data:
        raise ConnectionResetError("the server closed the connection")
    return data


def _pieces(buffers: Sequence[Buffer]) -> list[list[Buffer]]:
    """The buffers in groups of at most about SEND_BYTES, none joined or copied."""
    groups: list[list[Buffer]] = [[]]
    room = SEND_BYTES
    for buffer in buffers:
        if room <= 0:
            groups.append([])
            room = SEND_BYTES
        groups[-1].append(buffer)
        room -= len(buffer)
    return groups
