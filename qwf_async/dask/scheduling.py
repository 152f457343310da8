"""A source is ingested by the workers of a dask scheduler. Each opens it, and no value passes through the client."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from glob import glob
from typing import Any, Final

import anyio
from anyio import to_thread

from ..errors import InvalidInput, ServerUnavailable, UsageError
from ..events import Event, Hook, Noted, Progress
from ..ingesting.beginning import in_utf8
from ..ingesting.producer import Encoder
from ..ingesting.report import Report
from ..ingesting.shutdown import shutdown_on_signals
from ..optional import first_line, library
from ..producing.background import background
from ..producing.begin import SharedLoad, begin
from ..producing.ticket import Ticket
from ..producing.writer import Published, write_chunks
from ..source import open_source
from ..source.base import Source
from ..store.store import Store
from ..wording import again_with, messages_for_command_line
from .storing import RETRIES

TASK_BYTES: Final = 32 * 2**20
"""Bytes of values that a task writes, about: many seconds' work would be lost with a worker, and less is overhead."""


async def ingest_by_workers(
    scheduler: str,
    text: str,
    options: Mapping[str, Any],
    source: Source,
    store: Store,
    name: str,
    *,
    hook: Hook,
    **begun: Any,
) -> Report:
    """Let the workers at a scheduler (`tcp://…`) store the source that `text` and `options` name; see `open_source`.

    `source` is that source, opened here: its grid and fingerprint are looked at, and no value is
    read. `begun` are options of `begin`. SIGINT, SIGTERM and SIGHUP stop it in two stages.
    Raises as `ingest`; InvalidInput also if a worker finds another file under that name.
    """
    distributed = library("distributed", extra="dask", what="the scheduler of dask.distributed")

    def tell(event: Event) -> None:
        hook(event)

    fingerprint = await to_thread.run_sync(source.fingerprint)
    settings = store.settings
    async with shutdown_on_signals(
        settings.drain_timeout, notify=lambda line: tell(Noted(text=line))
    ) as shutdown:
        with shutdown.drained():
            # Without a scheduler no load is begun, which would stay.
            async with (
                _client(distributed, scheduler) as client,
                begin(
                    store,
                    name,
                    grid=source.grid,
                    order=source.order,
                    fingerprint=fingerprint,
                    source=source.spec,
                    hooks=(tell,),
                    **begun,
                ) as load,
            ):
                if not load.already:
                    await _run(distributed, client, load, text, dict(options), hook, shutdown.stopping)
                if shutdown.signum is None:
                    return await load.publish()
        raise shutdown.interrupted(f"what was stored of {name} stays: {again_with('resume')}")
    raise AssertionError("unreachable: the block returns or raises")


@asynccontextmanager
async def _client(distributed: Any, scheduler: str) -> AsyncIterator[Any]:
    """A client of the scheduler. Raises ServerUnavailable if there is none, and UsageError if that is no address."""
    # It logs with a traceback that a connection was closed, also when we have closed it.
    logging.getLogger("distributed.batched").setLevel(logging.WARNING)
    client = distributed.Client(scheduler, asynchronous=True, name="qwf", timeout=5)
    try:
        await client
    except ValueError as error:
        raise UsageError(
            f"{scheduler!r} is no address of a dask scheduler, as tcp://host:8786 is: {first_line(error)}"
        ) from error
    except OSError as error:
        raise ServerUnavailable(f"there is no dask scheduler at {scheduler}: {first_line(error)}") from error
    async with client:
        yield client


async def _run(
    distributed: Any,
    client: Any,
    load: SharedLoad,
    text: str,
    options: dict[str, Any],
    hook: Hook,
    stopping: anyio.Event,
) -> None:
    """Let the workers write the chunks that are missing, until all are written or it is to stop."""
    plan, total = load.plan, load.ticket.manifest.points
    missing = await load.missing_chunks()
    many = max(1, TASK_BYTES // (16 * plan.largest))
    groups = [missing[n : n + many] for n in range(0, len(missing), many)]
    points = total - sum(plan[number].points for number in missing)
    futures = {
        client.submit(write_from, load.ticket, text, options, group, pure=False, retries=RETRIES): group
        for group in groups
    }
    hook(Progress(points=points, total=total))

    async def cancel() -> None:
        await stopping.wait()
        scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            with anyio.CancelScope() as scope:
                async for future in distributed.as_completed(list(futures)):
                    await future
                    points += sum(plan[number].points for number in futures[future])
                    hook(Progress(points=points, total=total))
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await client.cancel(list(futures))


def absolute(text: str) -> str:
    """The SOURCE with its files named from the root on: workers have other directories."""
    if glob(text):
        return os.path.abspath(text)
    parts = ((part, glob(part.partition(":")[0])) for part in text.split(","))
    return ",".join(os.path.abspath(part) if found else part for part, found in parts)


def write_from(ticket: Ticket, text: str, options: Mapping[str, Any], numbers: Sequence[int]) -> None:
    """Open the source here, and write some chunks of it. It is a task of dask."""
    with messages_for_command_line():
        source = open_source(text, **options)
        try:
            _write(ticket, source, numbers)
        except Published:
            return
        finally:
            source.close()


def _write(ticket: Ticket, source: Source, numbers: Sequence[int]) -> None:
    manifest = ticket.manifest
    if in_utf8(source.fingerprint()) != manifest.fingerprint:
        raise InvalidInput(f"{source.spec} is another one on a worker than where the ingest was begun")
    encoder = Encoder(
        source=source,
        plan=manifest.plan,
        layout=ticket.layout,
        codec=manifest.form.codec,
        allow_nonfinite=ticket.allow_nonfinite,
    )
    background().run(write_chunks, ticket, encoder, numbers)
