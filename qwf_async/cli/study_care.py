"""`qwf study reap`, `rm` and `sync`: dead trials, studies that are not needed, and what waits on this host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import QwfError, UsageError
from .options import JsonOption, QuietOption, ServerOptions, with_option_groups
from .output import print_json, print_result, raise_first, say
from .study_storage import StudyArgument, studies, study_of

if TYPE_CHECKING:
    from ..study import StudyStorage


@with_option_groups
def reap(
    name: StudyArgument,
    retry: Annotated[
        bool, typer.Option("--retry", help="Enqueue each of them again, with the same parameters.")
    ] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """End trials as failed whose job is dead: it gives no sign of life, or its process has gone.

    Trials of `qwf study ask` have no job that could be looked for, and run until they are told.

    \b
    Example: qwf study reap grid --retry
    """
    with studies(server_options, quiet=quiet) as storage:
        from ..study.reaping import reap as reap_study

        reaped = [trial.number for trial in reap_study(storage, study_of(storage, name), retry=retry)]
    if as_json:
        print_json({"study": name, "reaped": reaped, "enqueued_again": len(reaped) if retry else 0})
    elif not quiet:
        numbers = ", ".join(map(str, reaped))
        again = ", and enqueued again" if retry else ""
        say(
            f"{name}: trials of dead jobs ended as failed{again}: {numbers}"
            if reaped
            else f"{name}: no job is dead"
        )


@with_option_groups
def rm(
    names: Annotated[list[str], typer.Argument(help="Names of studies.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Delete studies with all of their trials; asks first. A name that is not there does not spare the others.

    \b
    Example: qwf study rm grid --yes
    """
    removed: list[str] = []
    errors: list[QwfError] = []
    with studies(server_options, quiet=quiet) as storage:
        for name in names:
            try:
                if yes or _agreed(storage, name):
                    storage.delete_study(study_of(storage, name)._study_id)
                    removed.append(name)
            except QwfError as error:
                errors.append(error)
    if as_json:
        print_result({"removed": removed}, next(iter(errors), None))
    elif removed and not quiet:
        say(f"removed {', '.join(removed)}")
    raise_first(errors)


@with_option_groups
def sync(
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the server.")] = 30.0,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Bring to the server what jobs of this host found while it was away. Jobs that run do that by themselves.

    \b
    Example: qwf study sync --wait 30
    """
    with studies(server_options, quiet=quiet) as storage:
        brought = storage.sync(wait)
    if as_json:
        print_json({"entries": brought})
    elif not quiet:
        for name, entries in brought.items():
            say(f"{name}: brought to the server, entries: {entries:,}")
        if not brought:
            say("nothing waits for the server")


def _agreed(storage: StudyStorage, name: str) -> bool:
    """Whether the user agrees that the study goes. Raises UsageError where nobody can be asked."""
    number = storage.get_n_trials(study_of(storage, name)._study_id)
    trials = f"{number:,} trial{'s' if number != 1 else ''}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{name} has {trials}: --yes removes it where nobody can be asked")
    return typer.confirm(f"Remove {name} with {trials}?", err=True)
