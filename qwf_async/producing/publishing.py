"""A load that many processes wrote is published: once, when nothing is missing and nobody writes it any more."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

from ..catalog.cleaning import sweep
from ..catalog.confirmation import Confirmation
from ..catalog.keys import Keys
from ..catalog.load import Load
from ..catalog.name_state import read_state
from ..catalog.shared_load import closing_token, find_load
from ..client.retry import until_available
from ..errors import DataLost, Refused
from ..events import Hook
from ..ingesting.finish import Finish, durability_of
from ..ingesting.load_spool import LoadSpool
from ..ingesting.report import Report, Tally
from ..ingesting.surviving_chunks import forget_lost
from ..lattice.grid import AXIS_NAMES
from ..lattice.plan import Plan
from ..store.store import Store
from .ticket import Ticket

NAMED: Final = 3
"""Missing chunks that a message names."""


async def publish_load(
    store: Store, ticket: Ticket, hook: Hook, *, closing: Callable[[], object] = lambda: None
) -> Report:
    """Publish the load of a ticket. If it is published already, only report that.

    Once it is known to be whole, `closing` is called, and then no other process may write it any
    more: its token is replaced, and the connections of its writers end. All this may be repeated,
    also by another process.

    Raises Refused if chunks are missing, and says which. Raises DataLost if the load is gone, and
    else as `ingest`.
    """
    keys, pool = ticket.keys, store.pool
    load = await find_load(pool, keys, token=ticket.token, ttl=ticket.ttl)
    if load is None:
        published = (await read_state(pool, keys)).published
        if published is not None and published.generation == ticket.manifest.generation:
            confirmation = Confirmation(pool=pool, keys=keys, manifest=published, asked=ticket.replicas)
            await confirmation.confirm_published()
            durability = await durability_of(store, confirmation)
            return Report.of(published, keys.name, durability=durability, already=True)
        raise DataLost(f"the load of {keys.name} is gone: it was discarded, taken over or lost by the server")
    await until_available(load.renew, pool.retry)
    await check_whole(load, keys.name)
    manifest = load.manifest

    async def audit(numbers: Collection[int]) -> Collection[int]:
        return await forget_lost(store, keys, load, numbers, readers=store.settings.writers, hook=hook)

    confirmation = Confirmation(
        pool=pool,
        keys=keys,
        manifest=manifest,
        asked=ticket.replicas,
        audit=audit
        if pool.is_cluster
        else None,  # of all chunks: nobody knows which slots were moved meanwhile
    )
    await confirmation.confirm()
    closing()
    await load.close_to_others(closing_token(ticket.token))
    tally = Tally(entries=await load.journal(), resumed_chunks=ticket.resumed_chunks)
    tally.begun = time.perf_counter() - (time.time() - ticket.began)
    tally.sent_points = round(manifest.points * (1 - ticket.resumed_chunks / len(manifest.plan)))
    # It has no spool: what is named here is a file that never exists.
    spool = LoadSpool.of(store, keys, load, ticket.layout)
    audit = partial(forget_lost, store, keys, load, readers=store.settings.writers, hook=hook)
    confirmation = Confirmation(
        pool=pool,
        keys=keys,
        manifest=manifest,
        asked=ticket.replicas,
        audit=audit if pool.is_cluster else None,
    )
    finish = Finish(
        store=store, keys=keys, load=load, spool=spool, confirmation=confirmation, tally=tally, hook=hook
    )
    return await finish.publish(None, verified=False)


async def release_load(store: Store, name: str, token: str, *, keep: bool = True) -> bool:
    """Give the name up, so that the load can be resumed at once. False if the load is gone, or another's by now.

    Without `keep` it is removed. Writers that still write are cut off.
    """
    keys = Keys(prefix=store.settings.prefix, name=name)
    load = await find_load(store.pool, keys, token=token, ttl=store.settings.ownership_ttl)
    if load is not None:
        await load.close_to_others(secrets.token_hex(8))
        if keep:
            await load.release()
        elif await load.discard():
            await sweep(store.pool, keys, batch=store.settings.clean_batch)
    return load is not None


async def check_whole(load: Load, name: str) -> None:
    """Raise Refused, naming what lacks, unless all chunks are in the journal."""
    entries, plan = await load.journal(), load.manifest.plan
    missing = [number for number in range(len(plan)) if number not in entries]
    if missing:
        raise Refused(
            f"{len(missing)} of {len(plan)} chunks of {name} are missing, so it is not published: "
            f"{regions(plan, missing[:NAMED])}{' …' if len(missing) > NAMED else ''}; write them, and publish then"
        )


def regions(plan: Plan, numbers: Iterable[int]) -> str:
    """Where chunks lie, in words: from the first point of each to its last."""
    boxes = (plan[number].boxes for number in numbers)
    return "; ".join(
        f"{_point(parts[0].start)} to {_point(n - 1 for n in parts[-1].stop)}" for parts in boxes
    )


def _point(index: Iterable[int]) -> str:
    return ", ".join(f"{name} = {i}" for name, i in zip(AXIS_NAMES, index, strict=True))
