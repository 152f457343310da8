"""What there is of a name on the server, and what to begin a load of it means then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..client.fence import Client
from ..client.pool import Pool
from ..errors import DamagedData, Refused
from ..wording import flag, said
from .keys import Keys, generation_of
from .manifest import Manifest, NewerFormat, reason, text_fields
from .owner import Owner
from .scripts import read_records
from .writers import writers_of

Unfinished = Literal["refuse", "resume", "discard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A load as another process finds it on the server. `writers` are connections that may still bring something."""

    manifest: Manifest
    overwrites: str
    owner: Owner
    writers: frozenset[Client] = frozenset()

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], where: str) -> UnderWay:
        try:
            return cls(
                manifest=Manifest.from_fields(fields, where),
                overwrites=generation_of(fields["overwrites"]) if fields["overwrites"] else "",
                owner=Owner.from_fields(fields),
                writers=writers_of(fields),
            )
        except (KeyError, ValueError) as error:
            raise DamagedData(f"{where} is not the record of a load: {reason(error)}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is of a name: what is published, what is under way, and the server's time (ms)."""

    published: Manifest | None
    under_way: UnderWay | None
    now: int


async def look(pool: Pool, keys: Keys) -> Situation:
    """Read the situation of a name in one step. Raises DamagedData if a foreign hash is in the way."""
    meta, load, now = await read_records(pool, keys)
    try:
        published = Manifest.from_fields(text_fields(meta), keys.meta) if meta else None
        under_way = UnderWay.from_fields(text_fields(load), keys.load) if load else None
    except NewerFormat:
        raise
    except DamagedData as error:
        remove = said(
            command_line=f"qwf rm {keys.name} --damaged", python=f"store.remove_damaged({keys.name!r})"
        )
        raise DamagedData(f"{error}; {remove} removes that record") from error
    return Situation(published=published, under_way=under_way, now=now)


async def unreadable(pool: Pool, keys: Keys) -> dict[str, list[bytes]]:
    """The records of a name that are damaged: key → what it holds, names and values in turn.

    Raises Refused if one is of a later format.
    """
    meta, load, _ = await read_records(pool, keys)
    found = {}
    for key, fields, read in (
        (keys.meta, meta, Manifest.from_fields),
        (keys.load, load, UnderWay.from_fields),
    ):
        try:
            if fields:
                read(text_fields(fields), key)
        except NewerFormat as error:
            raise Refused(str(error)) from error
        except DamagedData:
            found[key] = fields
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What beginning a load means: the manifest it goes by, what it replaces, what becomes trash first."""

    manifest: Manifest
    overwrites: Manifest | None
    discards: Manifest | None = None
    resumed: bool = False
    finished: bool = False


def decide(
    name: str, seen: Situation, wanted: Manifest, *, unfinished: Unfinished, overwrite: bool
) -> Beginning:
    """What to do about a name that may hold something already. Pure.

    Raises Refused, saying what stands in the way and which option gets past it.
    """
    published, load = seen.published, seen.under_way
    if load is None:
        if published is None:
            return Beginning(manifest=wanted, overwrites=None)
        if unfinished == "resume" and not published.differences(wanted):
            return Beginning(manifest=published, overwrites=None, finished=True)
        if not overwrite:
            raise Refused(f"{name} exists already: {flag('overwrite')} replaces it")
        return Beginning(manifest=wanted, overwrites=published)
    if load.owner.holds(seen.now):
        raise Refused(f"{name} is being loaded by {load.owner.describe()}: wait for it, or stop it")
    if unfinished == "resume":
        differences = load.manifest.differences(wanted)
        if differences:
            raise Refused(
                f"the unfinished load of {name} cannot be resumed, it differs in {'; '.join(differences)}: "
                f"{flag('discard')} throws it away"
            )
        return Beginning(manifest=load.manifest, overwrites=published, resumed=True)
    if unfinished == "discard":
        if published is not None and not (overwrite or load.overwrites):
            raise Refused(f"{name} exists already: {flag('overwrite')} with {flag('discard')} replaces it")
        return Beginning(manifest=wanted, overwrites=published, discards=load.manifest)
    raise Refused(
        f"there is an unfinished load of {name}: {flag('resume')} goes on with it, {flag('discard')} throws it away"
    )
