"""Connections to one server, shared by the tasks of a process; and what is tried again while it is away."""

from __future__ import annotations

import logging
import math
from asyncio import TimerHandle, get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import anyio

from ..errors import ServerUnavailable
from .address import Address
from .connection import ClientId, Connection, now
from .counts import ConnectionCounts
from .failure import HungUp, ServerCrowded, ShutOut
from .fence import Fence
from .guard import REPLIES
from .reply import is_anything, is_text
from .retry import Retry, until_available

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    R = TypeVarWithDefault("R", default=Any)

_log: Final = logging.getLogger(__name__)

QUEUEING: Final = Retry(deadline=600.0)
"""How a borrower waits for room on a crowded server: for ten minutes. Jobs ahead of it end sooner or later, so it is
much longer than an outage is borne; but not for ever, for the places may be held by clients that never end."""

SILENCE: Final = 2.0
"""Seconds for which being hung up on without a word is taken for crowding: longer, and it is an outage."""

TELLING: Final = 3.0
"""Seconds in which nobody here had a connection, after which the log says what is waited for."""

CHECKING: Final = 1.0
"""Seconds for a connection that lay idle to answer, before it is given up for dead."""

SURPLUS: Final = 2.0
"""Seconds for which more than one idle connection is kept: on a crowded server others wait for its place."""


@dataclass(slots=True, eq=False)
class _Turn:
    """A borrower in the line before a crowded server, until it is given a connection."""

    wake: anyio.Event = field(default_factory=anyio.Event)
    connection: Connection | None = None


class Pool:
    """At most `size` connections to one server, lent to one task at a time, first come first served.

    All times in seconds. One that lay idle for longer than `keep_idle` (0: never) is asked
    whether it still lives before it is lent. `deadline` is that of `retry`; the rest as for `Connection`.

    A server that has no room for another client is no outage: borrowers then stand in a line.
    The first in it tries to open a connection now and then, and gets the next one that is
    given back. So a job with one connection gets everything done that needs more.

    `reply_bytes`: the most that should be asked for at a time, once the server was found to limit it (`output`).
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
        self.fence = Fence(where=address.shown)
        self.retry = Retry(deadline=deadline)
        self.reply_bytes = math.inf
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._keep_idle = keep_idle
        self._idle: deque[Connection] = deque()  # all open; the one used last at the right
        self._line: deque[_Turn] = deque()  # while anybody stands here, none is idle
        self._silent_since: float | None = None
        self._bereft = False  # a connection broke, and none has answered since
        self._crowded_since: float | None = None
        self._surplus: TimerHandle | None = None
        self._closed = False
        # fast_acquire: without it a free place costs a turn of the event loop, a sixth of the time of one HGET.
        self._places = anyio.Semaphore(size, fast_acquire=True)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection, waiting for one to come back if all are lent.

        Raises ServerCrowded if the server had no room for as long as QUEUEING says, and as `Connection.exchange` does.
        """
        async with self._places:
            connection = self._idle.pop() if self._idle else await self._take()
            self.counts.borrowed += 1
            if self._keep_idle and now() - connection.used > self._keep_idle:
                connection = await self._checked(connection)
            try:
                yield connection
            finally:
                self._give_back(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """As `connection`, for requests that may not be applied late, after they were sent again; see `fence`.

        Connections that broke under such requests are fenced first. Both take the first
        writing over a connection one round trip more.
        """
        async with self.connection() as connection:
            await self.fence.close(connection)
            client = await self.fence.identify(connection)
            try:
                yield connection
            finally:
                if not connection.is_open or connection.client_id is not client:
                    self.fence.give_up(client)

    async def fence_off(self, clients: Collection[ClientId] = ()) -> bool:
        """See to it that these connections, and those given up here, do nothing any more.

        False if the server does not let us. Raises ServerUnavailable once the deadline is over.
        """
        if not clients and not self.fence.loose:
            return True

        async def kill() -> bool:
            async with self.connection() as connection:
                await self.fence.close(connection)
                return await self.fence.kill(connection, clients)

        return await until_available(kill, self.retry)

    async def call(
        self,
        *command: str | bytes | int | float,
        expect: Callable[[Any], TypeGuard[R]] = is_anything,
        doing: str = "",
        limit: int = REPLIES,
    ) -> R:
        """`call_once`, tried again while the server is unavailable.

        For commands that may be applied twice with the same result. Raises
        ServerUnavailable once `deadline` seconds have passed without success.
        """
        return await until_available(
            lambda: self.call_once(*command, expect=expect, doing=doing, limit=limit), self.retry
        )

    async def call_once(
        self,
        *command: str | bytes | int | float,
        expect: Callable[[Any], TypeGuard[R]] = is_anything,
        doing: str = "",
        limit: int = REPLIES,
    ) -> R:
        """`Connection.call` on any connection."""
        async with self.connection() as connection:
            return await connection.call(*command, expect=expect, doing=doing, limit=limit)

    async def probe(self) -> None:
        """One PING, not tried again: whether there is a server that lets us in."""
        async with self.connection() as connection:
            await connection.call("PING", expect=is_text, doing="connecting")

    async def aclose(self) -> None:
        """Close the idle connections; one that is lent is closed when it is given back.

        Who still has something to tidy up gets a connection also afterwards.
        """
        self._closed = True
        if self._surplus is not None:
            self._surplus.cancel()
            self._surplus = None
        while self._idle:
            self._idle.pop().close()

    async def _take(self) -> Connection:
        """A connection for one who found none idle: a new one, or after a wait in the line."""
        if not self._line:
            try:
                return await self._opened()
            except (ServerCrowded, HungUp) as error:
                if self._is_outage(error):
                    raise
            if self._idle:
                return self._idle.pop()
        return await self._queued()

    async def _queued(self) -> Connection:
        turn = _Turn()
        self._line.append(turn)
        since = now()
        tries = 0
        try:
            while turn.connection is None:
                tries += 1
                with anyio.move_on_after(QUEUEING.backoff(tries)):
                    await turn.wake.wait()
                turn.wake = anyio.Event()
                if turn.connection is not None or turn is not self._line[0]:
                    continue
                try:
                    opened = await self._opened()
                except (ServerCrowded, HungUp) as error:
                    if turn.connection is None and (
                        self._is_outage(error) or now() > since + QUEUEING.deadline
                    ):
                        raise
                    self._tell(error)
                else:
                    if turn.connection is None:
                        return opened
                    self._give_back(opened)
        except BaseException:
            if turn.connection is not None:
                self._give_back(turn.connection)
            raise
        finally:
            with suppress(ValueError):  # it is not there any more if it was given a connection
                self._line.remove(turn)
            if self._line:
                self._line[0].wake.set()
        return turn.connection

    def _give_back(self, connection: Connection) -> None:
        connection.used = now()
        if not connection.is_open:
            self._bereft = True
            if self._line:
                self._line[0].wake.set()  # there may be room now
            return
        self._answered()
        if self._line:
            turn = self._line.popleft()
            turn.connection = connection
            turn.wake.set()
            return
        if self._closed:
            connection.close()
            return
        self._idle.append(connection)
        if self._surplus is None and len(self._idle) > 1:
            self._surplus = get_running_loop().call_later(SURPLUS, self._close_surplus)

    def _close_surplus(self) -> None:
        self._surplus = None
        while len(self._idle) > 1 and now() >= self._idle[0].used + SURPLUS:
            self._idle.popleft().close()
        if len(self._idle) > 1:
            later = self._idle[0].used + SURPLUS - now()
            self._surplus = get_running_loop().call_later(later, self._close_surplus)

    async def _checked(self, connection: Connection) -> Connection:
        """This connection if it answers, else another."""
        self.counts.checks += 1
        try:
            await connection.pipeline([["PING"]], stall_timeout=min(CHECKING, self._answer_timeout))
        except ServerUnavailable:
            return await self._take()
        return connection

    async def _opened(self) -> Connection:
        connection = self._new()
        await connection.open()
        self._answered()
        return connection

    def _answered(self) -> None:
        """The server is there, and has room for us."""
        self._silent_since, self._bereft, self._crowded_since = None, False, None

    def _tell(self, error: ServerUnavailable) -> None:
        """Say, once, that nobody here has had a connection for a while: it may be minutes more."""
        if self._crowded_since is None:
            self._crowded_since = now()
        elif now() > self._crowded_since + TELLING:
            _log.warning("%s; waiting for room, at most %d minutes", error, QUEUEING.deadline // 60)
            self._crowded_since = math.inf

    def _is_outage(self, error: ServerUnavailable) -> bool:
        """Whether a connection that was turned away means more than that there is no room.

        Over TLS the server cannot say which. If it had died, the connections that we had would
        have broken too.
        """
        if not isinstance(error, HungUp) or (isinstance(error, ShutOut) and not self._bereft):
            self._silent_since = None
            return False
        if self._silent_since is None:
            self._silent_since = now()
        return now() > self._silent_since + SILENCE

    def _new(self) -> Connection:
        connection = Connection(
            self.address,
            connect_timeout=self._connect_timeout,
            answer_timeout=self._answer_timeout,
            counts=self.counts,
        )
        self.fence.watch(connection)
        return connection
