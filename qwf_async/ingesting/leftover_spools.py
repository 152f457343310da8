"""Spools that earlier processes left: what has become of their loads, and which may be dropped.

A spool is dropped only if nobody can miss it. Either the same wavefunction is published, or the
load is certainly gone and only a part of it waits in the spool. There are two cases in which a
load is certainly gone from the server of the spool's address. Either the name has another load or
wavefunction there, or the server still is in the run in which the load was written. Otherwise a
server that knows nothing of the name may be another one of the same address, or one that came up
without its data for the moment. Then the spool is kept. If all chunks wait in it, the load can be
begun anew from it.
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
from ..spool import SpoolEntry, SpoolFile, SpoolHead, spools
from ..store.store import Store


class SpoolState(Enum):
    """What has become of a spool's load.

    PRESENT: it is unfinished, and can go on. PUBLISHED: the same wavefunction is published. In
    the other states the load is not on the server any more:

    - SUPERSEDED by another load or wavefunction of the name, or LOST by the server;
    - WHOLE: all chunks wait in the spool, and the load can be begun anew from it;
    - IN_THE_WAY: as WHOLE, but another load or wavefunction has the name;
    - UNSURE whether this is the server that had the load.
    """

    PRESENT = "present"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    LOST = "lost"
    WHOLE = "whole"
    IN_THE_WAY = "in the way"
    UNSURE = "unsure"


EXPENDABLE = (SpoolState.PUBLISHED, SpoolState.SUPERSEDED, SpoolState.LOST)


async def waiting_spools(store: Store, name: str | None = None) -> list[SpoolEntry]:
    """The spools of this server and key prefix, of one name or of all, oldest first. Damaged ones are among them."""
    find = partial(
        spools,
        store.settings.spool_directory,
        server=store.pool.address.identity,
        prefix=store.settings.prefix,
        name=name,
    )
    return await anyio.to_thread.run_sync(find)


def judge(head: SpoolHead, name_state: NameState, *, run: str, whole: bool) -> SpoolState:
    """The state of a spool, on a server with this run id; `whole` if all chunks wait in it. Pure."""
    manifest, published, load = head.manifest, name_state.published, name_state.under_way
    if load is not None and load.manifest.generation == manifest.generation:
        return SpoolState.PRESENT
    if published is not None and published.generation == manifest.generation:
        return SpoolState.PUBLISHED
    if published is not None and not published.differences(manifest):
        return SpoolState.SUPERSEDED
    stored = [manifest for manifest in (published, load.manifest if load else None) if manifest is not None]
    others = [other for other in stored if other.generation != head.overwrites]
    if whole:
        return SpoolState.IN_THE_WAY if others else SpoolState.WHOLE
    if others:
        return SpoolState.SUPERSEDED
    return SpoolState.LOST if stored or (run and run == head.run) else SpoolState.UNSURE


async def spool_state(store: Store, spool: SpoolEntry, head: SpoolHead) -> SpoolState:
    """The state of a spool. Raises as `read_state` and `SpoolFile.open` do."""
    name_state = await read_state(store.pool, Keys(prefix=head.prefix, name=head.name))
    state = judge(head, name_state, run="", whole=False)
    if state in (SpoolState.PRESENT, SpoolState.PUBLISHED):
        return state  # the file is not opened, as a living process may have it open
    whole = await anyio.to_thread.run_sync(_is_whole, spool, head, store.settings.spool_limit)
    node = store.pool.node_of(Keys(prefix=head.prefix, name=head.name).load)
    async with node.connection() as connection:
        client = await node.fence.identify(connection)
    return judge(head, name_state, run=client.run if client else "", whole=whole)


async def drop(store: Store, spool: SpoolEntry) -> None:
    """Remove a spool from the disk. Raises as `SpoolFile.open`: Refused, for one, if a process has it open."""

    def delete() -> None:
        SpoolFile.open(spool.path, limit=store.settings.spool_limit).delete()

    await anyio.to_thread.run_sync(delete)


async def drop_expendable(store: Store, name: str | None, *, hook: Hook, removed: bool = False) -> int:
    """Drop the spools, of one name or of all, that nobody can miss. Returns their number.

    `removed`: the user has removed the name, so all spools go whose load is not there. The
    hook is told of each spool that was dropped, and of each that could not be examined.
    """
    dropped = 0
    for spool in await waiting_spools(store, name):
        if spool.head is None:
            continue
        try:
            state = await spool_state(store, spool, spool.head)
            if state not in EXPENDABLE and not (removed and state is not SpoolState.PRESENT):
                continue
            await drop(store, spool)
        except QwfError as error:
            hook(Noted(text=f"cannot drop {spool.path}: {error}", warning=True))
            continue
        dropped += 1
        why = "removed" if removed else "published" if state is SpoolState.PUBLISHED else "lost or superseded"
        hook(Noted(text=f"dropped {spool.path}: the load of {spool.head.name} that it is of was {why}"))
    return dropped


def _is_whole(spool: SpoolEntry, head: SpoolHead, limit: int) -> bool:
    """Whether all chunks of the load wait in the spool."""
    with closing(SpoolFile.open(spool.path, limit=limit)) as file:
        return file.chunks >= set(range(len(head.manifest.plan)))
