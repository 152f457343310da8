"""`qwf study ask`, `tell` and `enqueue`: trials for jobs in any language."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import InvalidInput, Refused, UsageError
from ..wording import quoted
from .options import JsonOption, QuietOption, ServerOptions, one_of, with_option_groups
from .output import print_json, say
from .study_rows import plain
from .study_storage import StudyArgument, studies, study_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from ..study import StudyStorage

STATES: Final = ("fail", "pruned")
"""How a trial may end without values."""


@with_option_groups
def ask(
    name: StudyArgument,
    space: Annotated[
        Path | None,
        typer.Option(
            help="File with the parameters, JSON or TOML: name → type (float, int, categorical), low, high, log, "
            "step, choices.",
            show_default="only those of an enqueued trial",
        ),
    ] = None,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
) -> None:
    """Begin a trial, and print its number and parameters as JSON. It runs until `qwf study tell` ends it.

    An enqueued trial is taken first.

    \b
    Example: qwf study ask grid --space space.toml
    """
    distributions = None
    with studies(server_options) as storage:
        if space is not None:
            from ..study.space import read_space

            distributions = read_space(space)
        study = study_of(storage, name)
        if distributions is not None:
            _check_kinds(storage, study, distributions, space)
        with warnings.catch_warnings(record=True, action="always", category=UserWarning) as notes:
            trial = study.ask(distributions)
        fixed = storage.get_trial(trial._trial_id).system_attrs.get("fixed_params", {})
        params = fixed | trial.params
        print_json({"number": trial.number, "params": plain(params)})
    for note in notes:  # Optuna has one if an enqueued value is out of its range, and takes it
        say(str(note.message))


@with_option_groups
def tell(
    name: StudyArgument,
    number: Annotated[int, typer.Argument(help="Number of the trial.", show_default=False)],
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE…", help="A value for each objective.", show_default=False),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            help="How the trial ended without values: fail or pruned.",
            show_default=False,
            autocompletion=one_of(*STATES),
        ),
    ] = None,
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """End a trial with its values, or as failed or pruned. It may be repeated with the same values.

    \b
    Examples:
      qwf study tell grid 7 0.25
      qwf study tell grid 8 --state fail
    """
    told = _numbers(values or [])
    if state is not None and state not in STATES:
        raise UsageError(f"--state {state!r} is none: {' or '.join(STATES)}")
    if bool(told) == (state is not None):
        raise UsageError("give a value for each objective, or --state fail or pruned")
    with studies(server_options, quiet=quiet) as storage:
        trial = _tell(study_of(storage, name), number, told, state)
    if as_json:
        print_json({"number": trial.number, "state": trial.state.name, "values": plain(trial.values)})
    elif not quiet:
        say(f"trial {trial.number} of {name} is {trial.state.name}")


@with_option_groups
def enqueue(
    name: StudyArgument,
    params: Annotated[
        str, typer.Argument(help="Parameters of the trial, as a JSON object.", show_default=False)
    ],
    *,
    server_options: ServerOptions,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Put a trial with these parameters in the queue: the next one that is asked for.

    \b
    Example: qwf study enqueue grid '{"x": 1}'
    """
    try:
        values = json.loads(params)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the parameters {quoted(params)} are no JSON: {error}") from error
    if not isinstance(values, dict):
        raise InvalidInput(f"the parameters {quoted(params)} are no JSON object: write '{{\"x\": 1}}'")
    with studies(server_options, quiet=quiet) as storage:
        study_of(storage, name).enqueue_trial(values)
    if as_json:
        print_json({"study": name, "enqueued": plain(values)})
    elif not quiet:
        say(f"enqueued in {name}: {params}")


def _check_kinds(
    storage: StudyStorage, study: Study, space: Mapping[str, BaseDistribution], path: Path | None
) -> None:
    """Raises InvalidInput if a parameter is another than in the trials that are there; no trial is begun then."""
    from optuna.distributions import check_distribution_compatibility

    for name, wanted in space.items():
        known = storage.distribution(study._study_id, name)
        try:
            if known is not None:
                check_distribution_compatibility(known, wanted)
        except ValueError as error:
            raise InvalidInput(
                f"the parameter {quoted(name)} in {path} cannot be {wanted}: "
                f"in the trials of {study.study_name} it is {known}"
            ) from error


def _tell(study: Study, number: int, values: list[float], state: str | None) -> FrozenTrial:
    """End a trial. Raises InvalidInput if there is none, UsageError for a wrong number of values, and Refused if
    it ended otherwise or does not run.
    """
    from optuna.trial import TrialState

    if values and len(values) != len(study.directions):
        objectives = f"{len(study.directions)} objective{'s' if len(study.directions) > 1 else ''}"
        raise UsageError(f"{study.study_name} has {objectives}, and {len(values)} values are given")
    storage = study._storage
    try:
        trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    except KeyError as error:
        raise InvalidInput(f"the study {study.study_name} has no trial {number}") from error
    wanted = TrialState[state.upper()] if state else TrialState.COMPLETE
    there = storage.get_trial(trial_id)
    if there.state == wanted and (wanted != TrialState.COMPLETE or there.values == values):
        return there
    if there.state != TrialState.RUNNING:
        raise Refused(
            f"trial {number} of {study.study_name} is {there.state.name}"
            f"{'' if there.values is None else ' with ' + ' '.join(map(str, there.values))}: "
            "only one that runs can be told"
        )
    return study.tell(number, values or None, wanted)


def _numbers(texts: list[str]) -> list[float]:
    values: list[Any] = []
    for text in texts:
        try:
            value = float(text)
        except ValueError as error:
            raise UsageError(f"{text!r} is no value: write a number") from error
        if math.isnan(value):
            raise InvalidInput(
                f"{text!r} is no value that can be compared: --state fail ends the trial without one"
            )
        values.append(value)
    return values
