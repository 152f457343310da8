"""The replay of a spool that an earlier process left: its load is finished without the source."""

from __future__ import annotations

from ..catalog.keys import Keys
from ..catalog.load import Load
from ..catalog.manifest import Manifest
from ..client.every_node import name_of
from ..errors import DamagedData, DataLost, Refused
from ..events import Hook, logged
from ..spool import SpoolEntry, head_path
from ..store.store import Store
from ..wording import flag, phrase
from .job import Job
from .leftover_spools import EXPENDABLE, SpoolState, drop, spool_state
from .report import Report
from .shutdown import Shutdown
from .write_mode import choose_restore


async def replay(
    store: Store, spool: SpoolEntry, shutdown: Shutdown, *, hook: Hook, anew: bool = False
) -> Report:
    """Write what waits in a spool, and publish its load.

    `anew`: if the server does not have the load any more, and all of it waits in the spool,
    the load is begun anew. Only the user can say that this is the server that is meant.

    Raises DataLost if the server lost the load. Raises Refused if the load was superseded, or if
    another process has it. Raises Refused too if part of it was never spooled and must come from
    the source; what waited is written then. A spool that nobody can miss is dropped, and the message says
    so. The rest is as for `ingest`.
    """
    if spool.head is None:
        raise DamagedData(spool.problem)
    hook = logged([hook])
    head = spool.head
    keys = Keys(prefix=head.prefix, name=head.name)
    state = await spool_state(store, spool, head)
    if state in EXPENDABLE:
        durability = await store.secure()
        await drop(store, spool)
    where = f"the load of {keys.name} that {spool.path} belongs to is gone from {name_of(store.pool)}"
    match state:
        case SpoolState.PUBLISHED:
            published = (await store.open(keys.name)).manifest
            return Report.of(published, keys.name, durability=durability, already=True)
        case SpoolState.SUPERSEDED:
            raise Refused(f"{where}, superseded by another: what waited of it was dropped")
        case SpoolState.LOST:
            raise DataLost(
                f"{where}, which lost it: what waited, a part of it, was dropped; ingest its source again"
            )
        case SpoolState.UNSURE:
            raise DataLost(
                f"{where}, which lost it, or is another server than the one that had it: the file is kept; "
                "ingest its source again, or remove the name, and it is dropped"
            )
        case SpoolState.WHOLE if not anew:
            again = phrase(command_line=f"'qwf resume {keys.name} --anew'", python=flag("anew"))
            raise DataLost(
                f"{where}, which lost it, or is another server than the one that had it: the file holds the whole "
                f"of it, and is kept; {again} begins the load anew from there"
            )
        case SpoolState.IN_THE_WAY:
            raise Refused(
                f"{where}, and another has its name; the file holds the whole of it, and is kept: move it and "
                f"{head_path(spool.path).name} away before {keys.name} is removed, and back again after"
            )
    load = await Load.begin(
        store.pool,
        keys,
        head.manifest,
        unfinished="resume",
        overwrite=bool(head.overwrites),
        ttl=store.settings.ownership_ttl,
    )
    if isinstance(load, Manifest):  # published by another process at this moment
        return await replay(store, spool, shutdown, hook=hook, anew=anew)
    form, base = load.manifest.form, keys.base(load.manifest.generation)
    try:
        by_restore = await choose_restore(store.pool, base, form, "auto", hook)
    except BaseException:
        load.end()
        raise
    job = Job(
        store=store,
        keys=keys,
        load=load,
        by_restore=by_restore,
        source=None,
        hook=hook,
        writers=store.settings.writers,
        replicas=store.settings.replicas,
    )
    return await job.run(shutdown)
