"""What has become of the load that a spool belongs to, and when the spool may be dropped.

A spool is dropped only if nobody can miss it: the same wavefunction is published, or the load
is gone for certain and what waits is not the whole of it. That it is gone is certain on the
server of the spool's address if the name has another load or wavefunction there, or if it is
the very run of the server that the load was written to. A server of the same address that
knows nothing of the name may be another one, or one that came up without its data for the
moment: then the spool is kept. If all chunks wait in it, the load can be begun anew from it.
"""

from __future__ import annotations

from contextlib import closing
from enum import Enum
from functools import partial

import anyio.to_thread

from ..catalog.keys import Keys
from ..catalog.name_state import NameState, read_state
from ..errors import QwfError
from ..events import Hook, Noted
from ..spool import FoundSpool, SpoolFile, SpoolHead, spools
from ..store.store import Store


class SpoolState(Enum):
    """Of a spool's load: it is there to be gone on with, or published; or it is not there any more.

    Then the spool is SUPERSEDED or LOST (and may be dropped), WHOLE (and can be begun anew), IN_THE_WAY
    (whole, but another has the name) or UNSURE (whether this is the server that had the load).
    """

    PRESENT = "present"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    LOST = "lost"
    WHOLE = "whole"
    IN_THE_WAY = "in the way"
    UNSURE = "unsure"


EXPENDABLE = (SpoolState.PUBLISHED, SpoolState.SUPERSEDED, SpoolState.LOST)


async def waiting_spools(store: Store, name: str | None = None) -> list[FoundSpool]:
    """The spools of this server and key prefix, of one name or of all, oldest first; also those that are damaged."""
    find = partial(
        spools,
        store.settings.spool_directory,
        server=store.pool.address.identity,
        prefix=store.settings.prefix,
        name=name,
    )
    return await anyio.to_thread.run_sync(find)


def judge(head: SpoolHead, seen: NameState, *, run: str, whole: bool) -> SpoolState:
    """The standing of a spool on a server of this run id, with all chunks in it or not. Pure."""
    manifest, published, load = head.manifest, seen.published, seen.under_way
    if load is not None and load.manifest.generation == manifest.generation:
        return SpoolState.PRESENT
    if published is not None and published.generation == manifest.generation:
        return SpoolState.PUBLISHED
    if published is not None and not published.differences(manifest):
        return SpoolState.SUPERSEDED
    there = [one for one in (published, load.manifest if load else None) if one is not None]
    others = [one for one in there if one.generation != head.overwrites]
    if whole:
        return SpoolState.IN_THE_WAY if others else SpoolState.WHOLE
    if others:
        return SpoolState.SUPERSEDED
    return SpoolState.LOST if there or (run and run == head.run) else SpoolState.UNSURE


async def spool_state(store: Store, found: FoundSpool, head: SpoolHead) -> SpoolState:
    """What has become of a spool's load. Raises as `read_state` and `SpoolFile.open` do."""
    seen = await read_state(store.pool, Keys(prefix=head.prefix, name=head.name))
    at_first = judge(head, seen, run="", whole=False)
    if at_first in (SpoolState.PRESENT, SpoolState.PUBLISHED):
        return at_first  # without a look into the file: a living process may have it
    whole = await anyio.to_thread.run_sync(_is_whole, found, head, store.settings.spool_limit)
    async with store.pool.connection() as connection:
        client = await store.pool.fence.identify(connection)
    return judge(head, seen, run=client.run if client else "", whole=whole)


async def drop(store: Store, found: FoundSpool) -> None:
    """Remove a spool from the disk. Raises as `SpoolFile.open` does, so Refused if a process has it open."""

    def delete() -> None:
        SpoolFile.open(found.path, limit=store.settings.spool_limit).delete()

    await anyio.to_thread.run_sync(delete)


async def drop_expendable(store: Store, name: str | None, *, hook: Hook, removed: bool = False) -> int:
    """Drop the spools, of one name or of all, that nobody can miss; their number.

    With `removed`, the user has removed the name: then all go whose load is not there. The
    hook is told of each, and of those that could not be looked at.
    """
    dropped = 0
    for found in await waiting_spools(store, name):
        if found.head is None:
            continue
        try:
            stands = await spool_state(store, found, found.head)
            if stands not in EXPENDABLE and not (removed and stands is not SpoolState.PRESENT):
                continue
            await drop(store, found)
        except QwfError as error:
            hook(Noted(text=f"cannot drop {found.path}: {error}", warning=True))
            continue
        dropped += 1
        why = (
            "removed" if removed else "published" if stands is SpoolState.PUBLISHED else "lost or superseded"
        )
        hook(Noted(text=f"dropped {found.path}: the load of {found.head.name} that it is of was {why}"))
    return dropped


def _is_whole(found: FoundSpool, head: SpoolHead, limit: int) -> bool:
    with closing(SpoolFile.open(found.path, limit=limit)) as file:
        return file.chunks >= set(range(len(head.manifest.plan)))
