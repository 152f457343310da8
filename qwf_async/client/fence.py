"""Fencing: of a connection that was given up with requests under way, no byte is applied any more.

A connection that breaks may have left bytes behind it: in the socket of a server that stands
still, or in a device between us and it. They can arrive minutes later, after the same
request has been sent again and its result was changed, or after its keys were removed. So
before a request that may not come late goes over another connection, the one that was given
up is ended at the server's side, by CLIENT KILL of its number. The server reads no more of
it from then on, and drops what it had read and not yet carried out.

A number is never given twice within one run of a server, but again after a restart. So it
goes together with the run id, and is used over a connection to that very run: nobody else's
client can be hit. Of a run that has ended, no connection is left to be fenced.

This needs the rights to CLIENT ID, INFO and CLIENT KILL. Where one of them is missing, that is
found out once, and then there is no fence: requests of a broken connection may be applied
late, as with every client of Redis. `cleaning` says what that can leave behind.
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
    """What a pool knows of its connections for this end. `where` is the server's masked URL.

    `loose` are connections that were given up and are not fenced yet; `lost` those that will not
    be, because the server refuses CLIENT KILL. `is_open`: there was one that is not fenced for
    lack of a right.
    """

    where: str
    given_up: set[ClientId] = field(default_factory=set)
    not_killed: set[ClientId] = field(default_factory=set)
    is_open: bool = False
    _connections: WeakSet[Connection] = field(default_factory=WeakSet)
    _cannot_identify: bool = False
    _cannot_kill: bool = False

    def watch(self, connection: Connection) -> None:
        """A connection of the pool's: while it is open it is never fenced."""
        self._connections.add(connection)

    async def identify(self, connection: Connection) -> ClientId | None:
        """What the server calls this connection, asked once while it is open; None if it does not tell us."""
        if connection.client_id is None and not self._cannot_identify:
            number, facts = await connection.pipeline([["CLIENT", "ID"], ["INFO", "server"]])
            for reply in (number, facts):
                if isinstance(reply, ResponseError):
                    self._check_refused(reply, "asking for the number of a connection")
                    self._cannot_identify = True
            found = _RUN.search(facts) if is_text(facts) else None
            if is_number(number) and found:
                connection.client_id = ClientId(number=number, run=found[1].decode())
            else:
                self._cannot_identify = True
        return connection.client_id

    def give_up(self, client: ClientId | None) -> None:
        """This connection is closed, and there may be requests of it under way."""
        if client is None:
            self.is_open = True
        else:
            self.given_up.add(client)

    async def kill(self, connection: Connection, clients: Iterable[ClientId]) -> bool:
        """End connections over another one; whether none of them can do anything any more.

        Those of the pool that are open are left: they are in step, and nothing of them is
        under way. Raises ServerUnavailable if it is not known.
        """
        here = await self.identify(connection)
        if here is None or self._cannot_kill:
            return False
        own = {other.client_id for other in self._connections}
        alive = [client for client in clients if client.run == here.run and client not in own]
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
        """Fence all that is loose. Raises ServerUnavailable if it is not known whether that was done."""
        if clients := set(self.given_up):
            if not await self.kill(connection, clients):
                self.not_killed |= clients
                self.is_open = True
            self.given_up -= clients

    def doubts(self, client: ClientId) -> bool:
        """Whether requests of it may still be applied, as far as is known here."""
        return client in self.given_up or client in self.not_killed

    def _check_refused(self, reply: Any, doing: str) -> None:
        """Raises what an error reply means if it is not that we may not."""
        error = translate(reply, where=self.where, doing=doing)
        if not isinstance(error, Refused):
            raise error
