"""`qwf resume`: what an outage has left to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import DataLost, InvalidInput, QwfError
from .options import Json, Quiet, Where, on_server
from .runner import on_store, print_json, raise_first, say

if TYPE_CHECKING:
    from ..ingesting.report import Report
    from ..store.store import Store
    from ..store.wavefunction import Wavefunction


@on_server
def resume(
    name: Annotated[
        str | None, typer.Argument(help="Name of a wavefunction; all if none is given.", show_default=False)
    ] = None,
    anew: Annotated[
        bool,
        typer.Option(
            "--anew",
            help="Begin a load anew that the server has lost, from a spool that holds the whole of it.",
        ),
    ] = False,
    *,
    where: Where,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bring to the server what waits in the spool since it was away, and publish it.

    For an ingest that ended with exit code 6. One that ended otherwise needs its source:
    repeat it with --resume, and it takes what waits in the spool first.

    \b
    Example: qwf resume hydrogen
    """
    failed: list[QwfError] = []

    async def job(store: Store) -> list[Report]:
        from ..ingesting.leftover_spools import waiting_spools
        from ..ingesting.replay import replay
        from ..ingesting.shutdown import shutdown_on_signals
        from .progress import shown_progress

        done = []
        async with shutdown_on_signals(store.settings.drain_timeout) as shutdown:
            with shown_progress(quiet=quiet) as hook:
                for found in await waiting_spools(store, name):
                    try:
                        done.append(await replay(store, found, shutdown, hook=hook, anew=anew))
                    except QwfError as error:
                        failed.append(error)
                    if shutdown.stopping.is_set():
                        break
        return done

    reports = on_store(job, where, quiet=quiet)
    if as_json:
        print_json([report.to_json() for report in reports])
    elif not quiet:
        for report in reports:
            say(f"{report.name} is published: {report.spooled_chunks} chunks came from the spool")
        if not reports and not failed:
            say("nothing waits in the spool")
    raise_first(failed)


async def open_stored(store: Store, name: str) -> Wavefunction:
    """The wavefunction of this name; if there is none, but one waits in the spool, that is replayed first."""
    from ..ingesting.leftover_spools import waiting_spools
    from ..ingesting.replay import replay
    from ..ingesting.shutdown import Shutdown

    try:
        return await store.open(name)
    except InvalidInput as error:
        absent = error
        waiting = [found for found in await waiting_spools(store, name) if found.head is not None]
        if not waiting:
            raise
    for found in waiting:
        try:
            await replay(
                store, found, Shutdown(drain_timeout=store.settings.drain_timeout), hook=lambda event: None
            )
        except DataLost as error:
            raise InvalidInput(f"{absent}; {error}") from error
    return await store.open(name)
