"""The tasks by which dask stores an array: begin, write a block, publish. Each may run again, in another process.

A worker of dask.distributed has the ticket in its memory until the graph is done, given up or
cancelled. For so long it keeps the load, whatever time a block takes. Other schedulers have no such
moment, and there a load is kept by its writes, and by the process that runs `store`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from ..errors import QwfError
from ..events import Event, Noted
from ..ingesting.report import Report
from ..producing.background import background
from ..producing.keeping import keep
from ..producing.place import Place
from ..producing.publishing import publish_load, release_load
from ..producing.starting import Request, start_load
from ..producing.target import Target
from ..producing.ticket import Ticket
from ..producing.writer import Published
from ..store.store import Store

T = TypeVar("T")

_log: Final = logging.getLogger("qwf_async.dask")


def begin(place: Place, request: Request) -> Ticket:
    """Begin the load of a request, or find that it has begun."""

    async def job(store: Store) -> Ticket:
        return (await start_load(store, request, _hook))[0]

    ticket = _run(place, job)
    _keep_in_worker(ticket)
    return ticket


def write(ticket: Ticket, region: tuple[slice, ...], block: Any) -> None:
    """Write a block. That there is nothing to write any more is no error: a task may run again after all is done."""
    _keep_in_worker(ticket)
    try:
        Target(ticket)[region] = block
    except Published:
        return


def publish(ticket: Ticket, written: Any) -> Report:
    """Publish the load, once all blocks are `written`."""

    async def job(store: Store) -> Report:
        return await publish_load(store, ticket, _hook)

    return _run(ticket.place, job)


def release(ticket: Ticket) -> bool:
    """Give up the name of a load that will not go on, so that it can be resumed at once. Whether there is one."""

    async def job(store: Store) -> bool:
        return await release_load(store, ticket.name, ticket.token)

    try:
        return _run(ticket.place, job)
    except QwfError:
        return False


def _keep_in_worker(ticket: Ticket) -> None:
    """Keep the load if this is a task of a worker."""
    if (distributed := sys.modules.get("distributed")) is not None:
        with suppress(ValueError):
            distributed.get_worker()  # ValueError: there is none
            keep(ticket)


def _run(place: Place, job: Callable[[Store], Awaitable[T]]) -> T:
    async def on_loop() -> T:
        return await job(await place.open())

    return background().run(on_loop)


def _hook(event: Event) -> None:
    """Events go to the log: a task has nobody else to tell."""
    if isinstance(event, Noted):
        _log.log(logging.WARNING if event.warning else logging.INFO, "%s", event.text)
