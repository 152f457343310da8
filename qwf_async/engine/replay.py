"""Replay: what waits in spools that processes left behind, brought to the server without its source."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio.to_thread

from ..errors import DamagedData, DataLost, Refused
from ..load import Load
from ..manifest import Keys
from ..situation import look
from ..spool import FoundSpool, SpoolFile, spools
from ..store import Store
from .events import Hook
from .job import Job
from .report import Report
from .shutdown import Shutdown
from .spooling import Spool
from .unwrap import one_error
from .write_mode import choose_restore


async def owed(store: Store, name: str | None = None) -> list[FoundSpool]:
    """The spools of this server and key prefix, of one name or of all, oldest first; also those that are damaged."""
    find = partial(
        spools,
        store.settings.spool_directory,
        server=store.pool.address.identity,
        prefix=store.settings.prefix,
        name=name,
    )
    return await anyio.to_thread.run_sync(find)


async def replay(store: Store, found: FoundSpool, shutdown: Shutdown, *, hook: Hook) -> Report:
    """Write what waits in a spool, and publish its load.

    Raises DataLost if the server has lost the load, and Refused if the load was superseded,
    another process has it, or part of it was never spooled and must come from the source;
    then what could be written is. The rest as `ingest`.
    """
    if found.head is None:
        raise DamagedData(found.problem)
    head = found.head
    keys = Keys(prefix=head.prefix, name=head.name)
    seen = await look(store.pool, keys)
    generation = head.manifest.generation
    if seen.published is not None and seen.published.generation == generation:
        durability = await store.secure()
        await anyio.to_thread.run_sync(_delete, found.path, store.settings.spool_limit)
        return Report.of(seen.published, keys.name, durability=durability, already=True)
    if seen.under_way is None or seen.under_way.manifest.generation != generation:
        gone = seen.under_way is None and seen.published is None
        raise (DataLost if gone else Refused)(
            f"the load of {keys.name} that {found.path} belongs to is gone from {store.pool.address.shown}, "
            f"{'which lost it' if gone else 'superseded by another'}: ingest its source again; "
            "the file is of no more use"
        )
    with one_error():
        load = await Load.begin(
            store.pool,
            keys,
            head.manifest,
            unfinished="resume",
            overwrite=bool(head.overwrites),
            ttl=store.settings.ownership_ttl,
        )
        if isinstance(load, Load):
            form, base = load.manifest.form, keys.base(generation)
            by_restore = await choose_restore(store.pool, base, form, "auto", hook)
            job = Job(
                store=store,
                keys=keys,
                load=load,
                spool=Spool.of(store, keys, load, form.open(base, by_restore=by_restore)),
                encoder=None,
                writers=store.settings.writers,
                max_rate=None,
                verify=False,
                evictable=False,
                hook=hook,
            )
            return await job.run(shutdown)
    return await replay(store, found, shutdown, hook=hook)  # published by another process at this moment


def _delete(path: Path, limit: int) -> None:
    SpoolFile.open(path, limit=limit).delete()
