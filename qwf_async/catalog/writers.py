"""The connections over which a load is written: kept in its record, so that others can end them.

A writer is entered before the first batch goes over it, and taken out when it is known that
nothing of it is under way. Whoever takes a load over, or removes it, first shuts its owner
out, so that no writer is entered any more, and then fences those that are entered; see
`server.fence`. So no late batch of a process that died or slept can come to stand beside what
was written after it, or bring a key back that was removed.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..client.connection import Connection
from ..client.fence import Client
from ..client.pool import Pool
from ..errors import Refused
from . import scripts
from .keys import Keys
from .manifest import text_fields

MOST_WRITERS: Final = 256
"""Writers in a record. Those of a live process are some dozens; they only grow where the server forbids CLIENT KILL."""

_FIELD: Final = "writer:"


def writers_of(fields: Mapping[str, str]) -> frozenset[Client]:
    """The writers that the record of a load names."""
    return frozenset(
        Client(number=int(name.removeprefix(_FIELD)), run=run)
        for name, run in fields.items()
        if name.startswith(_FIELD) and name.removeprefix(_FIELD).isdecimal()
    )


@dataclass(slots=True, kw_only=True)
class Writers:
    """The writers of one load that this process owns by `token`."""

    pool: Pool
    keys: Keys
    token: str
    _entered: dict[Client, Connection] = field(default_factory=dict)

    async def enter(self, connection: Connection) -> bool:
        """Enter a connection of the pool's `writing` in the record. False if the load is not ours any more."""
        client = connection.client
        if client is None or client in self._entered:
            return True
        through = [known for known, other in self._entered.items() if other.client is not known]
        through = [known for known in through if not self.pool.fence.doubts(known)]
        through += [known for known in self._entered if known not in through][: -MOST_WRITERS + 1]
        try:
            owner = await scripts.register(
                connection,
                self.keys,
                token=self.token,
                field=_name(client),
                run=client.run,
                settled=map(_name, through),
            )
        except Refused:  # a right was lost in mid-run: what it is that cannot be written, the batch will say
            self.pool.fence.is_open = True
            return True
        if owner != self.token:
            return False
        self._entered[client] = connection
        for known in through:
            self._entered.pop(known, None)  # another task may have been as quick
        return True

    @property
    def run(self) -> str:
        """The run id of the server that was last written to; "" if it is not known."""
        return next((client.run for client in reversed(self._entered)), "")

    @property
    def through(self) -> list[str]:
        """The fields of those of which nothing is under way."""
        return [_name(client) for client in self._entered if not self.pool.fence.doubts(client)]


async def expel(pool: Pool, keys: Keys, token: str) -> str:
    """Shut the owner of a load out that is dead or late, and end its writers; the load's token from then on.

    It is "" if the token was another meanwhile: look again. The load stays as it is
    otherwise, and is held by nobody new. Raises ServerUnavailable.
    """
    new = secrets.token_hex(8)
    record = await scripts.expel(pool, keys, token=token, replacement=new)
    if not record:
        return ""
    writers: Collection[Client] = writers_of(text_fields(record))
    if await pool.fence_off(writers):
        await scripts.register(pool, keys, token=new, settled=map(_name, writers))
    return new


def _name(client: Client) -> str:
    return f"{_FIELD}{client.number}"
