"""`begin`: a load that many processes write, begun, kept and published by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from ..catalog.cleaning import sweep
from ..catalog.journal import read_journal
from ..catalog.owner import Owner
from ..checked import checked
from ..client.retry import Retry, until_available
from ..errors import Interrupted, QwfError, UsageError, first_error
from ..events import Hook, Noted, logged
from ..ingesting.finish import SETTLE_TIME
from ..ingesting.lease import Lease
from ..ingesting.report import Report
from ..lattice.grid import Grid, Order, Shape4
from ..lattice.plan import BoxPlan, Plan
from ..layout import Slab
from ..settings import Replicas
from ..store.store import Store
from .publishing import publish_load, release_load
from .starting import Request, start_load
from .ticket import Ticket

Region = tuple[slice, slice, slice, slice]
"""A region of the grid along t, x, y, z."""


@dataclass(slots=True, kw_only=True)
class SharedLoad:
    """A load that has begun, within the block of `begin`.

    `ticket` is for those who write it. `already`: the very same thing is published, so that
    there is nothing to write.
    """

    ticket: Ticket
    already: bool
    _store: Store
    _hook: Hook
    _blocks: Shape4 | None
    _keeping: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _published: bool = False

    @property
    def plan(self) -> Plan:
        """The chunks in which it is stored."""
        return self.ticket.manifest.plan

    async def missing(self) -> list[Region]:
        """The regions that are still to be written: of blocks if `blocks` were given, else of chunks."""
        plan = self.plan
        blocks = BoxPlan(shape=plan.shape, chunk=self._blocks) if self._blocks else plan
        if not isinstance(blocks, BoxPlan):
            raise UsageError("the chunks of this layout are no boxes: begin with blocks= to have regions")
        missing = set(await self.missing_chunks())
        return [
            block.box.slices
            for block in blocks
            if any(number in missing for number, _ in plan.touched(block.box))
        ]

    async def missing_chunks(self) -> list[int]:
        """The numbers of the chunks that are still to be written."""
        stored = await read_journal(self._store.pool, self.ticket.keys, self.ticket.manifest)
        return [number for number in range(len(self.plan)) if number not in stored]

    async def publish(self) -> Report:
        """Publish what was written, whole, and report. To be called when all writers are through.

        Those that are not are cut off. Raises Refused if chunks are missing, and says where; the
        load goes on then. Raises else as `ingest`.
        """
        report = await publish_load(self._store, self.ticket, self._hook, closing=self._keeping.cancel)
        self._published = True
        return replace(report, already=self.already)


@checked
@asynccontextmanager
async def begin(
    store: Store,
    name: str,
    *,
    grid: Grid,
    layout: str = "flat",
    codec: str = "c16",
    tile: tuple[int, int, int] | None = None,
    slab: Slab | None = None,
    blocks: tuple[int, int, int, int] | None = None,
    order: Order = "C",
    fingerprint: str | None = None,
    source: str = "many producers",
    write_mode: str = "auto",
    replicas: Replicas | None = None,
    resume: bool = False,
    overwrite: bool = False,
    discard: bool = False,
    allow_nonfinite: bool = False,
    configure_server: bool = False,
    force: bool = False,
    hooks: Sequence[Hook] = (),
) -> AsyncIterator[SharedLoad]:
    """Begin a load that any process with its `ticket` may write (`Target`), and publish it whole by `publish`.

    The name is held while the block runs. A block that ends before it has published, or by an
    error, leaves the load so that it can be resumed, or removes it if it has no fingerprint. What
    is stored is what `ingest` stores of the same values.

    Parameters
    ----------
    grid: the points and their axes. layout, codec, tile, slab, write_mode, replicas: as for `ingest`.
    blocks: points along t, x, y, z of what one producer writes at a time. The chunks of the load
        divide them. Without it the chunks are those of an ingest in this `order`.
    fingerprint: a text that is the same if, and only if, the values are. `resume` needs it.
    source: what the values are, in words.
    resume, overwrite, discard, allow_nonfinite, configure_server, force, hooks: as for `ingest`.

    Raises as `ingest`, and UsageError if no chunks divide the blocks; the message says which
    blocks would do.
    """
    request = Request.of(
        name,
        grid,
        layout=layout,
        codec=codec,
        tile=tile,
        slab=slab,
        blocks=blocks,
        order=order,
        fingerprint=fingerprint,
        source=source,
        write_mode=write_mode,
        replicas=replicas,
        resume=resume,
        discard=discard,
        overwrite=overwrite,
        allow_nonfinite=allow_nonfinite,
        configure_server=configure_server,
        force=force,
    )

    async with held_load(store, request, blocks=blocks, hooks=hooks) as load:
        yield load


@asynccontextmanager
async def held_load(
    store: Store,
    request: Request,
    *,
    owner: Owner | None = None,
    blocks: Shape4 | None = None,
    hooks: Sequence[Hook] = (),
) -> AsyncIterator[SharedLoad]:
    """Begin the load of a request, and hold it while the block runs; see `begin`.

    `owner` is for a load that one process writes alone; its token is that of the request.
    """

    hook = logged(hooks)

    ticket, load = await start_load(store, request, hook, owner)
    shared = SharedLoad(ticket=ticket, already=load is None, _store=store, _hook=hook, _blocks=blocks)
    if load is None:
        yield shared
        return

    async def keep() -> None:
        with shared._keeping:
            await Lease(load=load).run()

    async def sweep_trash() -> None:  # what was discarded makes room
        with suppress(QwfError):
            await sweep(store.pool, ticket.keys, batch=store.settings.clean_batch)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep)
            tasks.start_soon(sweep_trash)
            yield shared
            tasks.cancel_scope.cancel()
    except BaseException as error:
        cause = first_error(error)
        if not shared._published and (left := await _left(shared, request)):
            cause = _with(cause, left)
        if cause is error:
            raise
        raise cause from error
    else:
        if not shared._published and (left := await _left(shared, request)):
            hook(Noted(text=f"{request.name} was not published; {left}"))
    finally:
        load.end()


async def _left(shared: SharedLoad, request: Request) -> str:
    """Give the name up, for a short time whatever is cancelled. What is left, in words; none if the load is gone.

    A load that nobody could resume is removed, so that the same program can run again.
    """
    with anyio.move_on_after(SETTLE_TIME, shield=True), suppress(QwfError):
        name, token = shared.ticket.name, shared.ticket.token
        release = partial(release_load, shared._store, name, token, keep=request.can_resume)
        ours = await until_available(release, Retry(deadline=SETTLE_TIME))
        return request.what_is_left(removed=not request.can_resume) if ours else ""
    return request.what_is_left(removed=False)


def _with(cause: BaseException, more: str) -> BaseException:
    """The error with more words, which are a note if it is none of ours."""
    if isinstance(cause, QwfError) and not isinstance(cause, Interrupted):
        return cause.with_more(f"; {more}")
    if isinstance(cause, Exception) and not isinstance(cause, Interrupted):
        cause.add_note(more)
    return cause
