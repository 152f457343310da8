"""`ingest`: a source becomes a published wavefunction, whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import anyio
import anyio.to_thread

from ..catalog.confirmation import Confirmation
from ..catalog.keys import Keys, new_generation
from ..catalog.manifest import Manifest
from ..checked import checked
from ..events import Hook, Noted, logged
from ..lattice.grid import Grid
from ..layout import Form, Slab
from ..settings import Producers, Rate, Replicas, Writers
from ..source.base import Source, copied_of, remarks_of, warnings_of
from ..store.store import Store
from ..wording import again_with
from .beginning import Begun, begin_load, in_utf8, unfinished_by
from .choosing import choose, forms_of
from .finish import durability_of
from .job import Job
from .leftover_spools import drop_expendable
from .opening import opened
from .report import Report
from .shutdown import shutdown_on_signals
from .write_mode import check_write_mode


@checked
async def ingest(
    source: Any,
    store: Store,
    name: str,
    *,
    grid: Grid | None = None,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
    layout: str = "flat",
    codec: str = "c16",
    tile: tuple[int, int, int] | None = None,
    slab: Slab | None = None,
    write_mode: str = "auto",
    writers: Writers | None = None,
    producers: Producers | None = None,
    max_rate: Rate | None = None,
    replicas: Replicas | None = None,
    resume: bool = False,
    overwrite: bool = False,
    discard: bool = False,
    verify: bool = False,
    allow_nonfinite: bool = False,
    configure_server: bool = False,
    force: bool = False,
    signals: bool | AsyncIterator[int] = False,
    hooks: Sequence[Hook] = (),
) -> Report:
    """Load ψ into the store under a name, and publish it whole.

    Parameters
    ----------
    source: what holds ψ: a source, a path or SOURCE text, an array of any library, a Dataset, kets of
        QuTiP or the result of its solver, a Statevector; see `sources.source_of`.
    grid, dims, box, dt: where its points lie, if it does not say so itself; see there.
    layout, codec: how it is stored; see `layout` and `codec`. Layout "auto" is the first of flat, packed
        and tile that will fit on the server, and an unfinished load keeps its own.
    tile: shape of a tile along x, y, z, for layout tile; about 8×8×8 if None.
    slab: points of a hash of layout flat: those of a box along t, x, y, z, about 16,384 if None;
        "all" puts all points into one hash, which is slower.
    write_mode: how layout packed is written: "restore" is faster where the server allows it,
        "hset" works everywhere, "auto" tries; what is stored is the same. If
        RESTORE is refused in mid-load, HSET is used.
    writers: tasks that write at the same time; the setting `writers` if None.
    producers: threads that encode at the same time; the setting `producers` if None, and by the
        cores if that is None too. They also read at the same time, if the source says that it
        allows that (`source.base.is_parallel`). Each holds a chunk twice: 1 to 8 MB.
    max_rate: points per second at most, for a server that others use too.
    replicas: replicas of each server that must confirm, within 10 s, that they have all of it before it is
        published; the setting `replicas` if None. With 0 one is asked for where there is one, and the
        report says whether it has.
    resume: go on with an unfinished load of the name. With it the call can be repeated
        until it succeeds: it starts if there is nothing, and returns if all is stored already.
    overwrite: replace what is published under the name; readers see the old until then.
    discard: throw an unfinished load of the name away, and begin anew.
    verify: read everything back and compare it, before it is published.
    allow_nonfinite: store NaN and infinity as they are.
    configure_server: set what is unfit about the server's settings.
    force: go on although the server evicts stored data, or the data seems not to fit.
    signals: let SIGINT, SIGTERM and SIGHUP stop the ingest in two stages (main thread only); or the
        numbers of signals as they arrive, from who receives them.
    hooks: called with each event; see `events`.

    Raises
    ------
    InvalidInput: the name or the source's data cannot be used. Nothing is left behind.
    Refused: the name is held, exists, or has an unfinished load; or the server refuses.
    OutOfMemory: it will not fit, or the memory gate was shut for too long.
    ServerUnavailable: the server was away for longer than the setting `deadline`, or fewer
        replicas confirmed than `replicas`.
    ReplayOwed: it was, and all that it lacks is safe in the spool; see `replay`.
    DataLost: the server lost what it had been given.
    DamagedData: `verify` found a difference.
    Interrupted: a signal stopped it.
    Except after InvalidInput, what was begun stays on the server and can be resumed; the
    message says so. Cancelling the call leaves it so too.
    """
    async with opened(source, store, grid, dims=dims, box=box, dt=dt) as psi:
        shape, order = psi.grid.shape, psi.order
        return await ingest_in(
            forms_of(
                layout,
                lambda name: Form.of(
                    layout=name, codec=codec, shape=shape, order=order, tile=tile, slab=slab
                ),
            ),
            psi,
            store,
            name,
            write_mode=write_mode,
            writers=writers,
            producers=producers,
            max_rate=max_rate,
            replicas=replicas,
            resume=resume,
            overwrite=overwrite,
            discard=discard,
            verify=verify,
            allow_nonfinite=allow_nonfinite,
            configure_server=configure_server,
            force=force,
            signals=signals,
            hooks=hooks,
        )


async def ingest_in(
    forms: Sequence[Form],
    source: Source,
    store: Store,
    name: str,
    *,
    write_mode: str = "auto",
    writers: int | None = None,
    producers: int | None = None,
    max_rate: float | None = None,
    replicas: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    discard: bool = False,
    verify: bool = False,
    allow_nonfinite: bool = False,
    configure_server: bool = False,
    force: bool = False,
    signals: bool | AsyncIterator[int] = False,
    hooks: Sequence[Hook] = (),
) -> Report:
    """Load ψ as `ingest` does, in the only one of these forms or in the first that will fit (`choose`)."""
    unfinished = unfinished_by(resume=resume, discard=discard)
    asked = store.settings.replicas if replicas is None else replicas
    keys = Keys(prefix=store.settings.prefix, name=name)
    source.grid.in_atomic_units()  # a unit that is not known is refused before anything is written
    for form in forms:
        check_write_mode(write_mode, form)
    copied = copied_of(source)
    manifest = Manifest(
        generation=new_generation(),
        form=forms[0],
        grid=source.grid,
        source=in_utf8(source.spec),
        fingerprint=in_utf8(await anyio.to_thread.run_sync(source.fingerprint)),
        copy_of=copied.get("copy_of"),
    )
    if "created" in copied:
        manifest = replace(manifest, created=copied["created"])

    hook = logged(hooks)

    for text in await anyio.to_thread.run_sync(warnings_of, source):
        hook(Noted(text=text, warning=True))

    async with shutdown_on_signals(
        store.settings.drain_timeout, enabled=signals, notify=lambda text: hook(Noted(text=text))
    ) as shutdown:
        begun: Begun | None = None
        with shutdown.scope:
            manifest = await choose(
                [replace(manifest, form=form) for form in forms],
                store,
                keys,
                unfinished=unfinished,
                overwrite=overwrite,
                listpacks=configure_server,
                force=force,
                hook=hook,
            )
            begun = await begin_load(
                store,
                keys,
                manifest,
                write_mode=write_mode,
                unfinished=unfinished,
                overwrite=overwrite,
                replicas=asked,
                configure_server=configure_server,
                force=force,
                hook=hook,
            )
        if begun is None:
            raise shutdown.interrupted(f"nothing was stored yet: {again_with('resume')}")
        load = begun.load
        if isinstance(load, Manifest):
            # Published, but perhaps not saved: that may be why the command is repeated.
            confirmation = Confirmation(pool=store.pool, keys=keys, manifest=load, asked=asked)
            await confirmation.confirm_published()
            durability = await durability_of(store, confirmation)
            report = Report.of(load, name, durability=durability, already=True)
            await drop_expendable(store, name, hook=hook)
            return report
        job = Job(
            store=store,
            keys=keys,
            load=load,
            by_restore=begun.by_restore,
            source=source,
            hook=hook,
            writers=writers or store.settings.writers,
            producers=producers or store.settings.producers,
            max_rate=max_rate if max_rate is not None else store.settings.max_rate,
            allow_nonfinite=allow_nonfinite,
            verify=verify,
            evictable=force,
            replicas=asked,
        )
        report = await job.run(shutdown)
        await drop_expendable(store, name, hook=hook)  # of an earlier load that the server lost
        for text in remarks_of(source):
            hook(Noted(text=text, warning=True))
        return report
    raise AssertionError("unreachable: the job returns or raises")
