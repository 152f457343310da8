"""What there is of a name on the server: what is published, and the load under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..client.connection import ClientId
from ..client.pool import Pool
from ..errors import DamagedData, Refused
from ..wording import phrase
from .keys import Keys, generation_of
from .load_connections import connections_in
from .manifest import Manifest, NewerFormat, reason, text_fields
from .owner import Owner
from .scripts import read_records


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRecord:
    """A load as its record on the server describes it.

    `overwrites` is the generation that it replaces, or "". `connections` may still deliver
    requests of the load.
    """

    manifest: Manifest
    overwrites: str
    owner: Owner
    connections: frozenset[ClientId] = frozenset()

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], where: str) -> LoadRecord:
        """The record that the hash under the key `where` holds. Raises DamagedData if it is none of ours."""
        try:
            return cls(
                manifest=Manifest.from_fields(fields, where),
                overwrites=generation_of(fields["overwrites"]) if fields["overwrites"] else "",
                owner=Owner.from_fields(fields),
                connections=connections_in(fields),
            )
        except (KeyError, ValueError) as error:
            raise DamagedData(f"{where} is not the record of a load: {reason(error)}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class NameState:
    """What is published under a name, which load of it is under way, and the server's time (ms) when that was so."""

    published: Manifest | None
    under_way: LoadRecord | None
    now: int

    def describe_load(self) -> str | None:
        """In words what else there is to know of the name: a load that is under way or unfinished."""
        if self.under_way is None:
            return None
        owner = self.under_way.owner
        if owner.holds(self.now):
            return f"it is being loaded by {owner.describe()}"
        return "an unfinished load of it can be resumed"


async def read_state(pool: Pool, keys: Keys) -> NameState:
    """The state of a name at one moment. Raises DamagedData if a record of it is none of ours."""
    meta, load, now = await read_records(pool, keys)
    try:
        published = Manifest.from_fields(text_fields(meta), keys.meta) if meta else None
        under_way = LoadRecord.from_fields(text_fields(load), keys.load) if load else None
    except NewerFormat:
        raise
    except DamagedData as error:
        remove = phrase(
            command_line=f"qwf rm {keys.name} --damaged", python=f"store.remove_damaged({keys.name!r})"
        )
        raise DamagedData(f"{error}; {remove} removes that record") from error
    return NameState(published=published, under_way=under_way, now=now)


async def damaged_records(pool: Pool, keys: Keys) -> dict[str, list[bytes]]:
    """The records of a name that are damaged: key → what it holds, names and values in turn.

    Raises Refused if one is of a later format.
    """
    meta, load, _ = await read_records(pool, keys)
    damaged = {}
    for key, pairs, from_fields in (
        (keys.meta, meta, Manifest.from_fields),
        (keys.load, load, LoadRecord.from_fields),
    ):
        try:
            if pairs:
                from_fields(text_fields(pairs), key)
        except NewerFormat as error:
            raise Refused(str(error)) from error
        except DamagedData:
            damaged[key] = pairs
    return damaged
