"""`qwf restore` puts wavefunctions of a backup back on a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..human import counted, duration
from .jobs import run_on_store
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import print_json, say

if TYPE_CHECKING:
    from ..copying.restore import RestoreReport
    from ..store.store import Store


@with_option_groups
def restore(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A directory that 'qwf backup' wrote.", show_default=False)
    ],
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            help="Only the wavefunction of this name; can be given several times.",
            show_default="all",
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what has the names, and unfinished loads of them."),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Go on with loads that an interrupted restore left."),
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Even if it seems not to fit, or the server evicts data.")
    ] = False,
    configure_server: Annotated[
        bool, typer.Option("--configure-server", help="Set what is unfit about the server's settings.")
    ] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Put the wavefunctions of a backup back, each whole and as it was: layout, codec, axes, source and date.

    Files are compared with their checksums first. What is on the server already, with the same values, is left
    as it is, so it can be repeated after any interruption.

    \b
    Examples:
      qwf restore /var/backups/qwf
      qwf restore /var/backups/qwf --name packet --name hydrogen --overwrite
    """

    async def job(store: Store) -> RestoreReport:
        from ..copying.restore import restore as put_back
        from .progress import shown_progress

        with shown_progress(quiet=quiet) as hook:
            return await put_back(
                store,
                directory,
                names=tuple(names) if names else None,
                overwrite=overwrite,
                resume=resume,
                force=force,
                configure_server=configure_server,
                signals=True,
                hooks=(hook,),
            )

    report = run_on_store(job, server_options, quiet=quiet)
    if as_json:
        print_json(report.to_json())
    elif not quiet:
        already = f", {len(report.already)} there already" if report.already else ""
        say(
            f"restored {len(report.restored)} of {report.directory}: {counted(report.points, 'point')} in "
            f"{duration(report.seconds)}{already}"
        )
