"""`qwf backup` writes all wavefunctions of a server into a directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..human import counted, duration, size
from .jobs import run_on_store
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import print_json, say

if TYPE_CHECKING:
    from ..copying.backup import BackupReport
    from ..store.store import Store


@with_option_groups
def backup(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A directory; made if it is not there.", show_default=False)
    ],
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write every wavefunction of the key prefix into a directory: a .npy file and a record with checksums each.

    What is there already and unchanged is not copied again, so it can be repeated: daily, and after any
    interruption. Studies are not in it: 'qwf study export' has them.

    \b
    Example: qwf backup /var/backups/qwf
    """

    async def job(store: Store) -> BackupReport:
        from ..copying.backup import backup as write
        from ..ingesting.shutdown import shutdown_on_signals
        from .progress import shown_progress

        with shown_progress(quiet=quiet) as hook:
            async with shutdown_on_signals(0) as shutdown:
                with shutdown.scope:
                    return await write(store, directory, hooks=(hook,))
        raise shutdown.interrupted(f"what is whole in {directory} stays: run the same command to go on")

    report = run_on_store(job, server_options, quiet=quiet)
    if as_json:
        print_json(report.to_json())
    elif not quiet:
        kept = f", {len(report.kept)} kept that the server has not" if report.kept else ""
        say(
            f"backup in {report.directory}: {len(report.written)} written ({counted(report.points, 'point')}, "
            f"{size(report.bytes)}, {duration(report.seconds)}), {len(report.unchanged)} unchanged{kept}"
        )
