"""`qwf resume` brings to the server what waits in spools since an outage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import QwfError
from ..human import counted
from .jobs import run_on_store
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import print_json, raise_first, say

if TYPE_CHECKING:
    from ..ingesting.report import Report
    from ..store.store import Store


@with_option_groups
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
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Bring to the server what waits in the spool since it was away, and publish it.

    For an ingest that ended with exit code 6. One that ended otherwise needs its source:
    repeat it with --resume, and it takes what waits in the spool first.

    \b
    Example: qwf resume hydrogen
    """
    errors: list[QwfError] = []

    async def job(store: Store) -> list[Report]:
        from ..ingesting.leftover_spools import waiting_spools
        from ..ingesting.replay import replay
        from ..ingesting.shutdown import shutdown_on_signals
        from .progress import shown_progress

        replayed = []
        async with shutdown_on_signals(store.settings.drain_timeout) as shutdown:
            with shown_progress(quiet=quiet) as hook:
                for spool in await waiting_spools(store, name):
                    try:
                        replayed.append(await replay(store, spool, shutdown, hook=hook, anew=anew))
                    except QwfError as error:
                        errors.append(error)
                    if shutdown.stopping.is_set():
                        break
        return replayed

    reports = run_on_store(job, server_options, quiet=quiet)
    if as_json:
        print_json([report.to_json() for report in reports])
    elif not quiet:
        for report in reports:
            say(f"{report.name} is published: {counted(report.spooled_chunks, 'chunk')} came from the spool")
        if not reports and not errors:
            say("nothing waits in the spool")
    raise_first(errors)
