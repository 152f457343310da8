"""Trials as rows: for JSON, for a file of comma-separated values, and for a terminal."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MAX_SHOWN_CHARACTERS: Final = 24
"""Characters of a value that a line for a terminal shows."""


def trial_row(trial: FrozenTrial) -> dict[str, Any]:
    """All that is known of a trial, for JSON. Infinity and not-a-number are texts, as JSON has no word for them."""
    return {
        "number": trial.number,
        "state": trial.state.name,
        "values": plain(trial.values),
        "params": plain(trial.params),
        "datetime_start": trial.datetime_start and trial.datetime_start.isoformat(),
        "datetime_complete": trial.datetime_complete and trial.datetime_complete.isoformat(),
        "duration_s": duration(trial),
        "user_attrs": plain(trial.user_attrs),
        "system_attrs": plain(trial.system_attrs),
        "intermediate_values": plain(trial.intermediate_values),
    }


def duration(trial: FrozenTrial) -> float | None:
    """How long a trial took, seconds; None if it is not finished."""
    return None if trial.duration is None else trial.duration.total_seconds()


def write_csv(file: IO[str], trials: Sequence[FrozenTrial], *, objectives: int) -> None:
    """Write a line for each trial, with the columns of `study.trials_dataframe()` of Optuna; duration in seconds.

    What is neither a number nor a text is written as JSON.
    """
    values = ["value"] if objectives == 1 else [f"values_{index}" for index in range(objectives)]
    groups = ("params", "user_attrs", "system_attrs")
    columns = [
        (group, name) for group in groups for name in _names(getattr(trial, group) for trial in trials)
    ]
    table = csv.writer(file, lineterminator="\n")
    named = [f"{group}_{name}" for group, name in columns]
    table.writerow(["number", *values, "datetime_start", "datetime_complete", "duration_s", *named, "state"])
    for trial in trials:
        begun, ended = trial.datetime_start, trial.datetime_complete
        table.writerow(
            [
                trial.number,
                *(trial.values or [None] * objectives),
                begun and begun.isoformat(),
                ended and ended.isoformat(),
                duration(trial),
                *(_cell(getattr(trial, group).get(name)) for group, name in columns),
                trial.state.name,
            ]
        )


def write_json_lines(file: IO[str], trials: Iterable[FrozenTrial]) -> None:
    """Write each trial as `trial_row` has it, a line of JSON."""
    for trial in trials:
        file.write(json.dumps(trial_row(trial)) + "\n")


def trial_lines(trials: Iterable[FrozenTrial]) -> Iterator[str]:
    """A line for each trial: number, state, values, seconds, parameters."""
    for trial in trials:
        seconds = duration(trial)
        values = " ".join(f"{value:.9g}" for value in trial.values or ()) or "-"
        params = " ".join(f"{name}={short(value)}" for name, value in trial.params.items())
        took = "-" if seconds is None else f"{seconds:.3f}s"
        yield f"{trial.number:>6} {trial.state.name:9} {values:>16} {took:>10}  {params}".rstrip()


def short(value: object) -> str:
    """A value of a parameter for a line on a terminal."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[: MAX_SHOWN_CHARACTERS - 1]}…"


def _names(maps: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all maps, in the order in which they are met."""
    return list({name: None for one in maps for name in one})


def _cell(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float) else json.dumps(plain(value))


def plain(value: Any) -> Any:
    """The same for JSON: numbers that are not finite are texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
