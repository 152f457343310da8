"""Fencing: ends a broken connection at the server's side, so that no request of it is applied late.

A connection that breaks may leave bytes behind: in the socket of a server that stands still, or
in a device between us and the server. They can arrive minutes later, after the same request
was sent again and its result was changed, or after its keys were removed. So before a request
that must not be applied late goes over another connection, the broken one is ended by CLIENT KILL
with its number. The server then reads no more of it, and drops what it had read but not yet
carried out.

A server gives each number once in one run, but again after a restart. So the number is kept
with the run id, and is used only over a connection to the same run: nobody else's client can be
hit. A run that has ended has no connections left to fence.

This needs the rights to CLIENT ID, INFO and CLIENT KILL. If one of them is missing, the fence
finds that out once and then does nothing. Requests of a broken connection may then be applied
late, as with every client of Redis; `catalog.cleaning` says what that can leave behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakSet

from redis.exceptions import ResponseError

from ..errors import Refused
from .connection import ClientId, Connection
from .failure import translate
from .reply import is_number, is_text

_RUN: Final = re.compile(rb"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)


@dataclass(slots=True, kw_only=True)
class Fence:
    """Which connections of a pool were given up, and which of them the server has ended.

    `where` is the server's masked URL. `given_up` are broken connections that are not fenced
    yet. `not_killed` are those that will not be, because the server refuses CLIENT KILL.
    `is_open`: at least one connection could not be fenced because a right is missing.
    """

    where: str
    given_up: set[ClientId] = field(default_factory=set)
    not_killed: set[ClientId] = field(default_factory=set)
    is_open: bool = False
    _connections: WeakSet[Connection] = field(default_factory=WeakSet)
    _cannot_identify: bool = False
    _cannot_kill: bool = False

    def watch(self, connection: Connection) -> None:
        """Take note of a connection of the pool: it is never fenced while it is open."""
        self._connections.add(connection)

    def watches(self, connection: Connection) -> bool:
        """Whether it is a connection of the pool."""
        return connection in self._connections

    async def identify(self, connection: Connection) -> ClientId | None:
        """The number and run that the server knows this connection by; None if it does not say.

        The server is asked once for each time that the connection is opened.
        """
        if connection.client_id is None and not self._cannot_identify:
            number, facts = await connection.pipeline([["CLIENT", "ID"], ["INFO", "server"]])
            for reply in (number, facts):
                if isinstance(reply, ResponseError):
                    self._check_refused(reply, "asking for the number of a connection")
                    self._cannot_identify = True
            run_id = _RUN.search(facts) if is_text(facts) else None
            if is_number(number) and run_id:
                connection.client_id = ClientId(number=number, run=run_id[1].decode())
            else:
                self._cannot_identify = True
        return connection.client_id

    def give_up(self, client: ClientId | None) -> None:
        """Take note that this connection is closed, and that requests of it may be under way."""
        if client is None:
            self.is_open = True
        else:
            self.given_up.add(client)

    async def kill(self, connection: Connection, clients: Iterable[ClientId]) -> bool:
        """End these connections over another one; True if none of them can do anything any more.

        Open connections of the pool are left alone: they are in step, and nothing of them is
        under way. Raises ServerUnavailable if the outcome is not known.
        """
        this = await self.identify(connection)
        if this is None or self._cannot_kill:
            return False
        own = {other.client_id for other in self._connections}
        alive = [client for client in clients if client.run == this.run and client not in own]
        if not alive:
            return True
        commands: list[list[str | int]] = [["CLIENT", "KILL", "ID", client.number] for client in alive]
        for reply in await connection.pipeline(commands):
            if isinstance(reply, ResponseError):
                self._check_refused(reply, "ending a broken connection")
                self._cannot_kill = True
                return False
            if not is_number(reply):
                raise connection.error_of(reply, doing="ending a broken connection")
        return True

    async def kill_given_up(self, connection: Connection) -> None:
        """Fence all connections that were given up. Raises ServerUnavailable if the outcome is not known."""
        if clients := set(self.given_up):
            if not await self.kill(connection, clients):
                self.not_killed |= clients
                self.is_open = True
            self.given_up -= clients

    @property
    def doubted(self) -> set[ClientId]:
        """The connections of which requests may still be applied, as far as this pool knows."""
        return self.given_up | self.not_killed

    def _check_refused(self, reply: Any, doing: str) -> None:
        """Raise the error that a reply stands for, unless it says that a right is missing."""
        error = translate(reply, where=self.where, doing=doing)
        if not isinstance(error, Refused):
            raise error
