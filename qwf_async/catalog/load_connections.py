"""The connections over which a load is written: kept in its record, so that others can end them.

A connection is registered before the first batch goes over it. It leaves the record when it is
known that none of its requests is under way. A process that takes a load over, or removes it,
first expels its owner, so that no connection is registered any more, and then fences those that
are; see `client.fence`. So no late batch of a process that died or slept can land beside what
was written after it, or bring back a key that was removed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..client.connection import ClientId, Connection
from ..client.pool import Pool
from ..errors import Refused
from . import scripts
from .keys import Keys
from .manifest import text_fields

MAX_DOUBTED: Final = 256
"""Broken connections in a record that are not fenced. They only gather where a server forbids CLIENT KILL."""

_FIELD: Final = "writer:"


def connections_in(fields: Mapping[str, str]) -> frozenset[ClientId]:
    """The connections that the record of a load lists."""
    found = (
        (name.removeprefix(_FIELD).partition(".")[0], run) for name, run in fields.items() if _FIELD in name
    )
    return frozenset(ClientId(number=int(number), run=run) for number, run in found if number.isdecimal())


@dataclass(slots=True, kw_only=True)
class LoadConnections:
    """The registered connections of one load that this process owns by `token`.

    `run` is the run id of the server that the load's record was last written to; "" if it is not known.
    """

    pool: Pool
    keys: Keys
    token: str
    run: str = field(default="", init=False)
    _registered: dict[ClientId, Connection] = field(default_factory=dict)

    async def register(self, connection: Connection) -> bool:
        """Put a connection of `Pool.writing` into the record. False if the load is not ours any more."""
        client = connection.client_id
        if client is None or client in self._registered:
            return True
        closed = [known for known, other in self._registered.items() if other.client_id is not known]
        doubted = self.pool.doubted
        leaving = [known for known in closed if known not in doubted]
        leaving += [known for known in closed if known in doubted][:-MAX_DOUBTED]
        try:
            async with self.pool.beside(self.keys.load, connection) as over:
                owner = await scripts.register(
                    over,
                    self.keys,
                    token=self.token,
                    field=_field_of(client),
                    run=client.run,
                    settled=map(_field_of, leaving),
                )
                record = await self.pool.node_of(self.keys.load).fence.identify(over)
                self.run = record.run if record else ""
        except Refused:  # a right was withdrawn during the run: the batch that follows will say which
            self.pool.note_unfenced()
            return True
        if owner != self.token:
            return False
        self._registered[client] = connection
        for known in leaving:
            self._registered.pop(known, None)  # another task may have removed it already
        return True

    @property
    def settled(self) -> list[str]:
        """The fields of the connections that have no request under way."""
        doubted = self.pool.doubted
        return [_field_of(client) for client in self._registered if client not in doubted]

    async def settle(self) -> bool:
        """Take the settled connections out of the record. False if the load is not ours any more."""
        leaving = self._registered.keys() - self.pool.doubted
        owner = await scripts.register(
            self.pool, self.keys, token=self.token, settled=map(_field_of, leaving)
        )
        for client in leaving:
            del self._registered[client]
        return owner == self.token


async def expel_owner(pool: Pool, keys: Keys, token: str, replacement: str | None = None) -> str:
    """Expel the owner of a load, who is dead or late, and end its connections. Returns the load's new token.

    It is `replacement`, by default a token that is nobody's. It is "" if the token was another
    meanwhile: the caller reads the state of the name again. Nothing else of the load changes.
    Raises ServerUnavailable.
    """
    replacement = replacement or secrets.token_hex(8)
    record = await scripts.expel(pool, keys, token=token, replacement=replacement)
    if not record:
        return ""
    clients = connections_in(text_fields(record))
    if await pool.fence_off(clients):
        await scripts.register(pool, keys, token=replacement, settled=map(_field_of, clients))
    return replacement


def _field_of(client: ClientId) -> str:
    """Its field in the record: servers give the same numbers, each in its run."""
    return f"{_FIELD}{client.number}.{client.run[:8]}"
