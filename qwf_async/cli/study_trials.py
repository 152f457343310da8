"""`qwf study best` and `qwf study trials`: what a study has found, and all of its trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidInput, UsageError
from .options import JsonOption, OverwriteOption, QuietOption, ServerOptions, with_option_groups
from .output import print_json, say, show
from .study_rows import trial_lines, trial_row, write_csv, write_json_lines
from .study_storage import StudyArgument, studies, study_of

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

ENDINGS = (".csv", ".jsonl")


@with_option_groups
def best(name: StudyArgument, *, server_options: ServerOptions, as_json: JsonOption = False) -> None:
    """Print the best trial of a study; with several objectives, all that no other one surpasses.

    Its lines are number, state, values, duration and parameters. JSON has a list.

    \b
    Example: qwf study best grid --json
    """
    with studies(server_options) as storage:
        found = best_trials(study_of(storage, name))
        if not found:
            raise InvalidInput(f"the study {name} has no best trial: none is complete yet")
    if as_json:
        print_json([trial_row(trial) for trial in found])
        return
    for line in trial_lines(found):
        show(line)


@with_option_groups
def trials(
    name: StudyArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write a file, .csv or .jsonl (JSON lines).", show_default=False),
    ] = None,
    overwrite: OverwriteOption = False,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print all trials of a study: number, state, values, duration, parameters; or write them to a file.

    \b
    Example: qwf study trials grid -o grid.csv
    """
    if out is not None and out.suffix.lower() not in ENDINGS:
        raise UsageError(f"{out} must end with {' or '.join(ENDINGS)}: that says what is written")
    with studies(server_options, quiet=quiet) as storage:
        study = study_of(storage, name)
        found = study.get_trials(deepcopy=False)
        objectives = len(study.directions)
    if out is not None:
        _write(out, found, objectives=objectives, overwrite=overwrite)
        if as_json:
            print_json({"file": str(out), "trials": len(found)})
        elif not quiet:
            say(f"wrote {out}, trials: {len(found):,}")
    elif as_json:
        print_json([trial_row(trial) for trial in found])
    else:
        for line in trial_lines(found):
            show(line)


def best_trials(study: Study) -> list[FrozenTrial]:
    """The best trial, or those that no other one surpasses; none if no trial is complete."""
    if len(study.directions) > 1:
        return study.best_trials
    try:
        return [study.best_trial]
    except ValueError:  # no trial is complete, or none meets the constraints
        return []


def _write(out: Path, found: list[FrozenTrial], *, objectives: int, overwrite: bool) -> None:
    from ..exporting.whole_file import check_free, translated_errors, written_whole

    check_free(out, overwrite=overwrite)
    with (
        translated_errors(out),
        written_whole(out) as path,
        path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        if out.suffix.lower() == ".csv":
            write_csv(file, found, objectives=objectives)
        else:
            write_json_lines(file, found)
