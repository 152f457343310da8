"""Trials as JSON, as comma-separated values, and as lines for a terminal."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from qwf_async.cli.study_rows import trial_lines, trial_row, write_csv, write_json_lines

START = datetime(2026, 11, 27, 3, 0, 0, 250_000)


def trial(number: int, state: TrialState = TrialState.COMPLETE, **more: Any) -> FrozenTrial:
    ended = START + timedelta(seconds=1.5) if state.is_finished() else None
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        datetime_start=START,
        datetime_complete=ended,
        params={"x": 0.1 + 0.2, "kind": "a,\n"},
        distributions={"x": FloatDistribution(0, 1), "kind": CategoricalDistribution(["a,\n", "b"])},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        **more,
    )


def test_a_row_has_all_and_is_json_that_any_program_reads() -> None:
    one = trial(7, values=[float("inf"), -1.5])
    one.user_attrs = {"deep": {"of": [float("nan"), None, True]}}
    one.intermediate_values = {0: float("-inf"), 3: 0.5}
    row = json.loads(json.dumps(trial_row(one), allow_nan=False))
    assert row == {
        "number": 7,
        "state": "COMPLETE",
        "values": ["Infinity", -1.5],
        "params": {"x": 0.1 + 0.2, "kind": "a,\n"},
        "datetime_start": "2026-11-27T03:00:00.250000",
        "datetime_complete": "2026-11-27T03:00:01.750000",
        "duration_s": 1.5,
        "user_attrs": {"deep": {"of": ["NaN", None, True]}},
        "system_attrs": {},
        "intermediate_values": {"0": "-Infinity", "3": 0.5},
    }


def test_comma_separated_values_have_a_column_for_each_name() -> None:
    first, second = trial(0, values=[0.1 + 0.2]), trial(1, TrialState.RUNNING)
    second.params = {"y": 3}
    second.user_attrs = {"note": "é", "list": [1, float("inf")]}
    second.system_attrs = {"qwf:asked_as": 4}
    file = io.StringIO()
    write_csv(file, [first, second], objectives=1)
    rows = list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert list(rows[0]) == [
        "number", "value", "datetime_start", "datetime_complete", "duration_s", "params_x", "params_kind",
        "params_y", "user_attrs_note", "user_attrs_list", "system_attrs_qwf:asked_as", "state",
    ]  # fmt: skip
    assert float(rows[0]["value"]) == first.value
    assert rows[0]["params_kind"] == "a,\n"
    assert (rows[0]["params_y"], rows[1]["params_y"]) == ("", "3")
    assert (rows[1]["value"], rows[1]["datetime_complete"], rows[1]["duration_s"]) == ("", "", "")
    assert (rows[1]["user_attrs_note"], rows[1]["user_attrs_list"]) == ("é", '[1, "Infinity"]')
    assert [row["state"] for row in rows] == ["COMPLETE", "RUNNING"]


def test_several_objectives_have_a_column_each_and_no_trials_only_names() -> None:
    file = io.StringIO()
    write_csv(file, [trial(0, values=[1.0, 2.0])], objectives=2)
    assert next(csv.DictReader(io.StringIO(file.getvalue(), newline="")))["values_1"] == "2.0"
    file = io.StringIO()
    write_csv(file, [], objectives=1)
    assert file.getvalue() == "number,value,datetime_start,datetime_complete,duration_s,state\n"


def test_json_lines_are_rows() -> None:
    file = io.StringIO()
    trials = [trial(0, values=[1.0]), trial(1, TrialState.FAIL)]
    write_json_lines(file, trials)
    assert [json.loads(line) for line in file.getvalue().splitlines()] == [trial_row(one) for one in trials]


def test_a_line_for_a_terminal_is_short() -> None:
    one = trial(12, values=[0.25, 3])
    one.params = {"x": 1 / 3, "kind": "a" * 100}
    (line,) = trial_lines([one])
    assert line.split() == ["12", "COMPLETE", "0.25", "3", "1.500s", "x=0.333333", "kind=" + "a" * 23 + "…"]
    (waiting,) = trial_lines([optuna.trial.create_trial(state=TrialState.WAITING)])
    assert waiting.split() == ["-1", "WAITING", "-", "-"]
