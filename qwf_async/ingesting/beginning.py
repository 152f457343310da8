"""How a load begins: what it stores and the server are checked, and then the name is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..catalog.beginning import Unfinished
from ..catalog.journal import read_journal
from ..catalog.keys import Keys, new_generation
from ..catalog.load import Load
from ..catalog.manifest import Manifest
from ..catalog.owner import Owner
from ..client.evenness import even_generation
from ..errors import UsageError
from ..events import Hook
from ..store.store import Store
from .preflight import check_server
from .write_mode import choose_restore


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A load that has begun, or the manifest of the very same thing that is published already.

    `by_restore` says whether it is to be written by RESTORE.
    """

    load: Load | Manifest
    by_restore: bool


def unfinished_by(*, resume: bool, discard: bool) -> Unfinished:
    """What is to become of an unfinished load of the name. Raises UsageError if both are wanted."""
    if resume and discard:
        raise UsageError("to resume a load and to discard it contradict each other: choose one")
    return "resume" if resume else "discard" if discard else "refuse"


async def begin_load(
    store: Store,
    keys: Keys,
    manifest: Manifest,
    *,
    write_mode: str,
    unfinished: Unfinished,
    overwrite: bool,
    replicas: int,
    configure_server: bool,
    force: bool,
    hook: Hook,
    owner: Owner | None = None,
    draw: Callable[[], str] = new_generation,
) -> Begun:
    """Check the server, choose how the load is written, and begin it. Raises as `ingest`.

    The load is this process's, or else that of `owner`. A new one gets a generation whose chunks
    are spread evenly over the nodes that the store has now: one of those that `draw` gives.
    What is published already, and is not whole any more, is begun anew with `overwrite`.
    """
    groups = np.arange(manifest.form.groups)
    manifest = replace(manifest, generation=even_generation(draw, store.pool.table, groups))
    await check_server(
        store,
        keys,
        manifest,
        unfinished=unfinished,
        overwrite=overwrite,
        replicas=replicas,
        configure_server=configure_server,
        force=force,
        hook=hook,
    )
    by_restore = await choose_restore(
        store.pool, keys.base(manifest.generation), manifest.form, write_mode, hook
    )
    load = await Load.begin(
        store.pool,
        keys,
        manifest,
        unfinished=unfinished,
        overwrite=overwrite,
        ttl=store.settings.ownership_ttl,
        owner=owner,
    )
    if isinstance(load, Manifest) and overwrite and not await _is_whole(store, keys, load):
        return await begin_load(
            store,
            keys,
            manifest,
            write_mode=write_mode,
            unfinished="discard",
            overwrite=True,
            replicas=replicas,
            configure_server=configure_server,
            force=force,
            hook=hook,
            owner=owner,
            draw=draw,
        )
    return Begun(load=load, by_restore=by_restore)


async def _is_whole(store: Store, keys: Keys, published: Manifest) -> bool:
    """Whether the journal has all chunks of what is published: a server that came back older may have lost some."""
    return len(await read_journal(store.pool, keys, published)) == len(published.plan)


def in_utf8(text: str) -> str:
    """The text with what is not UTF-8 escaped, such as in the name of a file."""
    return text.encode(errors="backslashreplace").decode()
