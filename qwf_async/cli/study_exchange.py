"""`qwf study export`, `import` and `migrate`: studies in files, and studies of Optuna's other storages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .options import JsonOption, OverwriteOption, QuietOption, ServerOptions, with_option_groups
from .output import print_json, say
from .study_storage import studies

if TYPE_CHECKING:
    from ..study.exchange import Exchanged
    from ..study.migration import MigratedStudy


@with_option_groups
def export(
    names: Annotated[list[str] | None, typer.Argument(help="Names of studies.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All studies: a backup.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="The file.", show_default=False)
    ] = None,
    overwrite: OverwriteOption = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write studies to one file, whole or not at all: lines of JSON with a checksum, for `qwf study import`.

    \b
    Examples:
      qwf study export grid -o grid.jsonl
      qwf study export --all -o studies.jsonl
    """
    if out is None:
        raise UsageError("-o FILE says where to write")
    if everything == bool(names):
        raise UsageError("give the names of studies, or --all")
    with studies(server_options, quiet=quiet) as storage:
        from ..study.exchange import export_studies

        written = export_studies(storage, None if everything else names, out, overwrite=overwrite)
    _report("wrote", out, written, as_json=as_json, quiet=quiet)


@with_option_groups
def import_(
    file: Annotated[str, typer.Argument(help="A file of qwf study export.", show_default=False)],
    rename: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Another name, for the only study.", show_default=False),
    ] = None,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Bring back the studies of a file, all of them or none. The file is checked before anything is written.

    A study that is there is never changed. Trials keep their ids, but under another name they get new ones.

    A trial that was running fails then, as that of any job that died.

    \b
    Example: qwf study import studies.jsonl
    """
    with studies(server_options, quiet=quiet) as storage:
        from ..study.exchange import import_studies

        read = import_studies(file, storage, rename)
    _report("read", file, read, as_json=as_json, quiet=quiet)


@with_option_groups
def migrate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="redis://…#prefix of JournalRedisBackend, a journal file, or sqlite:///…, mysql://…, postgresql://…",
            show_default=False,
        ),
    ],
    study: Annotated[
        str | None, typer.Option("--study", metavar="NAME", help="Only this one.", show_default=False)
    ] = None,
    rename: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Its name here.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken over.")] = False,
    skip_holes: Annotated[
        bool, typer.Option("--skip-holes", help="Leave out entries of a log that are lost or torn.")
    ] = False,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Let trials that run go on instead of failing.")
    ] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take over studies of Optuna's other storages, and compare them with the source afterwards.

    The source is only read: stop what writes there before. Repeated, it says what is there already.

    A name may hold letters, digits, '.', '_' and '-'. From any other one a name is made.

    \b
    Examples:
      qwf study migrate 'redis://localhost#' --dry-run
      qwf study migrate journal.log --study grid
      qwf study migrate sqlite:///optuna.db --study 'my grid' --as grid
    """
    with studies(server_options, quiet=quiet) as storage:
        from ..study.config_file import study_settings
        from ..study.migration import migrate as take_over

        migration = take_over(
            source,
            storage,
            study=study,
            rename=rename,
            dry_run=dry_run,
            skip_holes=skip_holes,
            keep_running=keep_running,
            settings=study_settings(server_options.config, warn=_said, **server_options.settings),
        )
    for note in migration.notes:
        say(note)
    if as_json:
        print_json(asdict(migration))
    elif not quiet:
        for one in migration.studies:
            say(_line(one, dry=migration.dry))
        if not migration.studies:
            say(f"{migration.source} holds no study")


def _said(warning: str) -> None:
    """`studies` has said it."""


def _line(one: MigratedStudy, *, dry: bool) -> str:
    named = one.name if one.name == one.old_name else f"{one.old_name!r} as {one.name}"
    if one.was_there:
        return f"is there already: {named}"
    failed = f", {one.failed:,} that ran {'fail' if dry else 'failed'}" if one.failed else ""
    return f"{'would take over' if dry else 'took over'} {named}: {_counted(one.trials, 'trial', 'trials')}{failed}"


def _report(what: str, file: str, found: Sequence[Exchanged], *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json({"file": file, "studies": [asdict(one) for one in found]})
    elif not quiet:
        trials = sum(one.trials for one in found)
        say(
            f"{what} {file}: {_counted(len(found), 'study', 'studies')}, {_counted(trials, 'trial', 'trials')}"
        )


def _counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
