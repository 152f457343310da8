"""Connections to one server, which may be a node of a cluster; shared by the tasks of a process.

`pool_state` decides what happens to them; this file does it, and awaits.
"""

from __future__ import annotations

import logging
from asyncio import TimerHandle, get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import anyio

from ..errors import ServerUnavailable
from . import pool_state
from .address import Address
from .connection import ClientId, Connection, now
from .counts import ConnectionCounts
from .failure import HungUp, ServerCrowded
from .fence import Fence
from .guard import REPLY_BYTES
from .parallel import in_parallel
from .places import Places
from .pool_state import CALM, Action, PoolState, Rejection, Transition, surplus
from .reply import is_anything, is_text
from .retry import Retry, until_available

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    R = TypeVarWithDefault("R", default=Any)

_log: Final = logging.getLogger(__name__)

AT_ONCE: Final = Retry(deadline=1.0)
"""For what is not worth waiting for a node of a cluster that is away."""

MAX_NODES: Final = 32
"""Nodes that are asked at a time; the pool may have fewer places."""

CHECK_TIMEOUT: Final = 1.0
"""Seconds for a connection that lay idle to answer. After that it counts as dead."""


@dataclass(slots=True, eq=False)
class _Turn:
    """A borrower in the line before a crowded server, until it is given a connection."""

    wake: anyio.Event = field(default_factory=anyio.Event)
    connection: Connection | None = None


class Node:
    """Connections to one server, lent to one task at a time, first come first served.

    All times are in seconds. A connection that lay idle for longer than `keep_idle` is asked
    whether it still lives before it is lent; 0 means that none is asked. `deadline` is that of
    `retry`, by which commands are tried again. The other arguments are those of `Connection`.

    A server that `is_replica` of a cluster's primary is only read from.

    There are as many connections as `places` has, which several nodes may share. `was_reached`: one was open once.

    A server that has no room for another client is no outage: borrowers then stand in a line
    (`pool_state`). So a job with one connection gets everything done that needs more.
    """

    def __init__(
        self,
        address: Address,
        *,
        places: Places | None = None,
        counts: ConnectionCounts | None = None,
        size: int = 50,
        connect_timeout: float = 5.0,
        answer_timeout: float = 5.0,
        keep_idle: float = 30.0,
        deadline: float = 60.0,
        is_replica: bool = False,
    ) -> None:
        self.address = address
        self.counts = ConnectionCounts() if counts is None else counts
        self.fence = Fence(where=address.shown)
        self.retry = Retry(deadline=deadline)
        self.was_reached = False
        self._is_replica = is_replica
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._keep_idle = keep_idle
        self._state: PoolState[_Turn] = CALM
        self._idle: deque[Connection] = deque()  # all open; the one used last at the right
        self._surplus_timer: TimerHandle | None = None
        self._places = Places(size) if places is None else places
        self._places.share(self._idle)

    @asynccontextmanager
    async def connection(self, *, counted: bool = True) -> AsyncIterator[Connection]:
        """Lend a connection, waiting for one to come back if all are lent; or at once, if it is not to be `counted`.

        Raises as `Connection.exchange` does, and ServerCrowded if the server had no room for as long
        as `pool_state.QUEUE` says.
        """
        async with self._places.free if counted else nullcontext():
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
        """Lend a connection as `connection` does, for requests that must not be applied late (see `fence`).

        Connections that broke under such requests are fenced first. That, and asking for the
        connection's number, take one round trip each: the second only once a connection.
        """
        async with self.connection() as connection:
            await self.fence.kill_given_up(connection)
            client = await self.fence.identify(connection)
            try:
                yield connection
            finally:
                if not connection.is_open or connection.client_id is not client:
                    self.fence.give_up(client)

    async def fence_off(self, clients: Collection[ClientId], retry: Retry) -> bool:
        """End these connections, and all that were given up here, so that nothing of them is applied any more.

        False if the server does not allow it. Raises ServerUnavailable once `retry` gives up.
        """
        if not clients and not self.fence.given_up:
            return True

        async def kill() -> bool:
            async with self.connection() as connection:
                await self.fence.kill_given_up(connection)
                return await self.fence.kill(connection, clients)

        return await until_available(kill, retry)

    async def call(
        self,
        *command: str | bytes | int | float,
        expect: Callable[[Any], TypeGuard[R]] = is_anything,
        doing: str = "",
        limit: int = REPLY_BYTES,
    ) -> R:
        """The reply to one command, which is tried again while the server is unavailable.

        For commands that give the same result when they are applied twice. Raises as
        `Connection.call` does, and ServerUnavailable only once the deadline is over.
        """
        return await until_available(
            lambda: self.call_once(*command, expect=expect, doing=doing, limit=limit), self.retry
        )

    async def call_once(
        self,
        *command: str | bytes | int | float,
        expect: Callable[[Any], TypeGuard[R]] = is_anything,
        doing: str = "",
        limit: int = REPLY_BYTES,
    ) -> R:
        """The reply to one command over any connection, not tried again. Raises as `Connection.call` does."""
        async with self.connection() as connection:
            return await connection.call(*command, expect=expect, doing=doing, limit=limit)

    async def probe(self) -> None:
        """Return if there is a server that lets us in, by one PING that is not tried again; raise if not."""
        async with self.connection() as connection:
            await connection.call("PING", expect=is_text, doing="connecting")

    def __contains__(self, connection: Connection) -> bool:
        """Whether a connection goes to this server."""
        return self.fence.watches(connection)

    async def aclose(self) -> None:
        """Close the idle connections; those that are lent are closed when they are given back.

        A task that still has something to tidy up gets a connection afterwards, too.
        """
        self._state = self._state.close()
        if self._surplus_timer is not None:
            self._surplus_timer.cancel()
            self._surplus_timer = None
        while self._idle:
            self._idle.pop().close()

    async def _take(self) -> Connection:
        """A connection for a borrower who found none idle: a new one, or after a wait in the line."""
        if not self._state.line:
            try:
                return await self._opened()
            except (ServerCrowded, HungUp) as error:
                if self._gives_up(error):
                    raise
            if self._idle:
                return self._idle.pop()
        return await self._queued()

    async def _queued(self) -> Connection:
        """A connection that was given back, or opened as the first in the line."""
        turn, since, attempts = _Turn(), now(), 0
        self._state = self._state.join(turn)
        try:
            while turn.connection is None:
                attempts += 1
                with anyio.move_on_after(pool_state.QUEUE.backoff(attempts)):
                    await turn.wake.wait()
                turn.wake = anyio.Event()
                if turn.connection is None and self._state.is_first(turn):
                    await self._attempt(turn, since)
        except BaseException:
            if turn.connection is not None:
                self._give_back(turn.connection)
            raise
        finally:
            self._follow(self._state.leave(turn))
        return turn.connection

    async def _attempt(self, turn: _Turn, since: float) -> None:
        """Try to open a connection for the first in the line, who may be given another meanwhile."""
        try:
            opened = await self._opened()
        except (ServerCrowded, HungUp) as error:
            if turn.connection is None and self._gives_up(error, since):
                raise
        else:
            if turn.connection is None:
                turn.connection = opened
            else:
                self._give_back(opened)

    def _gives_up(self, error: ServerUnavailable, since: float | None = None) -> bool:
        """Whether a borrower who was turned away is to raise; the log says what else is waited for."""
        action = self._follow(self._state.reject(Rejection.of(error), now(), since=since))
        if action is Action.WARN:
            _log.warning("%s; waiting for room, at most %d minutes", error, pool_state.QUEUE.deadline // 60)
        return action is Action.GIVE_UP

    def _give_back(self, connection: Connection) -> None:
        connection.used = now()
        # Without a step, which would take 2 µs: what a calm state makes of a sound connection.
        if self._state is CALM and connection.is_open:
            action = Action.KEEP
        else:
            action = self._follow(self._state.give_back(is_open=connection.is_open), connection)
        if action is Action.KEEP:
            self._idle.append(connection)
            if self._surplus_timer is None and len(self._idle) > 1:
                self._look_for_surplus_in(pool_state.SURPLUS_TIME)
        elif action is Action.CLOSE:
            connection.close()

    def _follow(self, step: Transition[_Turn], connection: Connection | None = None) -> Action:
        """Take the state of a step, and wake whom it says; the action, of which the caller does the rest."""
        self._state = step.state
        if step.turn is not None:
            if step.action is Action.LEND:
                step.turn.connection = connection
            step.turn.wake.set()
        return step.action

    def _close_surplus(self) -> None:
        """Close the idle connections that are too many, and set the timer for the next."""
        count, delay = surplus([connection.used for connection in self._idle], now())
        for _ in range(count):
            self._idle.popleft().close()
        self._surplus_timer = None
        if delay is not None:
            self._look_for_surplus_in(delay)

    def _look_for_surplus_in(self, delay: float) -> None:
        self._surplus_timer = get_running_loop().call_later(delay, self._close_surplus)

    async def _checked(self, connection: Connection) -> Connection:
        """This connection if it answers, else another."""
        self.counts.checks += 1
        try:
            await connection.pipeline([["PING"]], stall_timeout=min(CHECK_TIMEOUT, self._answer_timeout))
        except ServerUnavailable:
            return await self._take()
        return connection

    async def _opened(self) -> Connection:
        self._places.make_room()
        connection = self._new()
        await connection.open()
        self.was_reached = True
        self._state = self._state.answer()
        return connection

    def _new(self) -> Connection:
        connection = Connection(
            self.address,
            connect_timeout=self._connect_timeout,
            answer_timeout=self._answer_timeout,
            counts=self.counts,
            from_replica=self._is_replica,
        )
        self.fence.watch(connection)
        return connection


async def fence_soon(nodes: Collection[Node], clients: Collection[ClientId]) -> bool:
    """End connections at nodes of a cluster that answer at once, and at the others before anything is written there.

    If another node takes the place of one before, what comes to it late is lost with it. False if
    not all are ended yet.
    """
    ended = []

    async def fence(node: Node) -> None:
        try:
            ended.append(await node.fence_off(clients, AT_ONCE))
        except ServerUnavailable:
            node.fence.given_up.update(clients)
            ended.append(False)

    await in_parallel(fence, nodes, MAX_NODES)
    return all(ended)
