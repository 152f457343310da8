"""`copy` and `move`: a stored wavefunction under another name, or on another server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import anyio
import anyio.to_thread

from ..catalog.cleaning import sweep
from ..catalog.keys import Keys
from ..catalog.name_state import read_state
from ..checked import checked
from ..errors import DamagedData, Refused
from ..events import Hook
from ..ingesting.ingestion import ingest_in
from ..ingesting.report import Report
from ..ingesting.verification import verify as verify_stored
from ..lattice.grid import Shape3
from ..layout import Slab
from ..settings import Producers, Rate, Replicas, Writers
from ..store.store import Store
from .copy_source import CopySource
from .forms import copied_forms
from .snapshot import NotThere, Snapshot

PRODUCERS: Final = 3
"""Threads that read and encode, if nobody says how many: most of the time they wait for the server."""


@checked
async def copy(
    store: Store,
    name: str,
    to: Store,
    new: str | None = None,
    *,
    layout: str | None = None,
    codec: str | None = None,
    tile: tuple[int, int, int] | None = None,
    slab: Slab | None = None,
    writers: Writers | None = None,
    producers: Producers | None = None,
    max_rate: Rate | None = None,
    replicas: Replicas | None = None,
    resume: bool = False,
    overwrite: bool = False,
    discard: bool = False,
    verify: bool = False,
    configure_server: bool = False,
    force: bool = False,
    signals: bool = False,
    hooks: Sequence[Hook] = (),
) -> Report:
    """Copy a stored wavefunction into a store, which may be the same, and publish it whole there.

    The copy is that of the moment when it began: values that are changed meanwhile make it fail. It names
    the original's source, and in `Manifest.copy_of` what it is a copy of.

    Parameters
    ----------
    to, new: the store and the name of the copy; the same name if `new` is None.
    layout, codec, tile, slab: as for `ingest`; what is None stays as it is, also how the grid is cut into chunks.
        Layout "auto" is the first that fits.
    writers, producers, max_rate, replicas, discard, configure_server, force, signals, hooks: as for `ingest`.
    resume: go on with an unfinished copy of the same. With it the call can be repeated until it succeeds.
    overwrite: replace what is published under the new name; readers see the old until then.
    verify: read everything back and compare it, before it is published.

    Raises
    ------
    InvalidInput: there is no such name, or it was replaced or changed meanwhile. Nothing is left behind.
    DamagedData: a stored chunk is not what was written, or `verify` found a difference.
    Refused: it would be copied to itself; else as `ingest`.
    Whatever else `ingest` raises.
    """
    snapshot = await Snapshot.take(store, name)
    return await _copied(
        snapshot,
        to,
        new or name,
        layout=layout,
        codec=codec,
        tile=tile,
        slab=slab,
        writers=writers,
        producers=producers,
        max_rate=max_rate,
        replicas=replicas,
        resume=resume,
        overwrite=overwrite,
        discard=discard,
        verify=verify,
        configure_server=configure_server,
        force=force,
        signals=signals,
        hooks=hooks,
    )


@checked
async def move(
    store: Store,
    name: str,
    to: Store,
    new: str | None = None,
    *,
    layout: str | None = None,
    codec: str | None = None,
    tile: tuple[int, int, int] | None = None,
    slab: Slab | None = None,
    writers: Writers | None = None,
    producers: Producers | None = None,
    max_rate: Rate | None = None,
    replicas: Replicas | None = None,
    resume: bool = False,
    overwrite: bool = False,
    discard: bool = False,
    configure_server: bool = False,
    force: bool = False,
    signals: bool = False,
    hooks: Sequence[Hook] = (),
) -> Report:
    """Copy as `copy` does, verify and publish that, and then remove the original, if it is still the same.

    With `resume` the call can be repeated until it succeeds, also if it was ended before or after the original was
    removed. Keys hold the name, so within one server it is copied too, and takes its memory twice for a while.

    Raises as `copy`. If the original was replaced or changed since it was copied, raises InvalidInput: then
    both are there.
    """
    target = new or name
    try:
        snapshot = await Snapshot.take(store, name)
    except NotThere:
        report = await _moved_before(store, name, to, target) if resume else None
        if report is None:
            raise
        return report
    report = await _copied(
        snapshot,
        to,
        target,
        layout=layout,
        codec=codec,
        tile=tile,
        slab=slab,
        writers=writers,
        producers=producers,
        max_rate=max_rate,
        replicas=replicas,
        resume=resume,
        overwrite=overwrite,
        discard=discard,
        verify=True,
        configure_server=configure_server,
        force=force,
        signals=signals,
        hooks=hooks,
    )
    if report.already:  # perhaps by a copy that was not verified
        found = await verify_stored(to, target)
        if found.differences:
            raise DamagedData(
                f"{len(found.differences)} of {found.chunks} chunks of {target} are not as they were written: "
                f"{name} was not removed"
            )
    await snapshot.check_unchanged()
    await store.remove(name, generation=snapshot.manifest.generation)
    return report


async def _copied(
    snapshot: Snapshot,
    to: Store,
    new: str,
    *,
    layout: str | None,
    codec: str | None,
    tile: Shape3 | None,
    slab: Slab | None,
    producers: int | None,
    **options: Any,
) -> Report:
    """Copy a snapshot; `options` are those of `ingest_in`."""
    manifest = snapshot.manifest
    there = (await read_state(to.pool, Keys(prefix=to.settings.prefix, name=new))).published
    if there is not None and there.generation == manifest.generation:
        raise Refused(f"{new} on {to.address.shown} is {snapshot.keys.name} itself: name another place")
    forms = copied_forms(manifest.form, layout=layout, codec=codec, tile=tile, slab=slab)
    source = CopySource.of_snapshot(snapshot, forms)
    try:
        return await ingest_in(
            forms,
            source,
            to,
            new,
            producers=producers or to.settings.producers or PRODUCERS,
            allow_nonfinite=True,
            **options,
        )
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(source.close)


async def _moved_before(store: Store, name: str, to: Store, new: str) -> Report | None:
    """The report of a move that an earlier call had finished but for the last cleaning; None if there was none."""
    there = (await read_state(to.pool, Keys(prefix=to.settings.prefix, name=new))).published
    if there is None or there.copy_of is None or there.copy_of.partition(" ")[0] != name:
        return None
    keys = Keys(prefix=store.settings.prefix, name=name)
    if (await read_state(store.pool, keys)).published is not None:
        return None
    await sweep(store.pool, keys, batch=store.settings.clean_batch)
    return Report.of(there, new, durability=await to.secure(), already=True)
