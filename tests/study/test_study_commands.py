"""`qwf study`: what each command prints, and what it does to a study."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from qwf_async.study import StudyStorage
from tests.conftest import PATIENCE, Server
from tests.support.command import Outcome, Shell
from tests.support.inside import Inside

SPACE = """
x = {type = "float", low = -3, high = 3}
n = {type = "int", low = 1, high = 4}
"""


@pytest.fixture
def shell(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    (tmp_path / "space.toml").write_text(SPACE)
    return Inside.at(tmp_path, monkeypatch, QWF_URL=server.url)


def study(shell: Inside, *commands: str) -> list[Outcome]:
    """`qwf study COMMAND` for each of these: words apart by blanks."""
    return [shell.qwf("study", *command.split()) for command in commands]


def read(outcome: Outcome) -> Any:
    """The JSON of a command that did what it was to do."""
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)


def test_a_study_is_created_once_and_another_direction_is_refused(shell: Inside, server: Server) -> None:
    created, again, plain, strict, other, listed = study(
        shell,
        "create grid --direction maximize --json",
        "create grid --json",
        "create grid",
        "create grid --strict",
        "create grid --direction minimize",
        "ls --json",
    )
    assert read(created) == {"name": "grid", "directions": ["maximize"], "created": True}
    assert read(again) == {"name": "grid", "directions": ["maximize"], "created": False}
    assert (plain.status, plain.out, plain.lines) == (0, "", ["is there already: grid, maximize"])
    assert (strict.status, strict.out) == (8, "")
    assert strict.lines == [
        "qwf: the study 'grid' is there already: without --strict it is taken as it is (exit 8)"
    ]
    assert (other.status, other.out) == (8, "")
    assert other.lines == [
        "qwf: the study 'grid' is there already and its direction is maximize, not minimize as asked for: "
        "ask for the same, or take another name (exit 8)"
    ]
    assert read(listed) == [
        {"name": "grid", "directions": ["maximize"], "trials": 0, "states": {}, "best": None}
    ]


def test_a_shell_asks_and_tells(shell: Inside, server: Server) -> None:
    study(shell, "create grid --direction maximize", 'enqueue grid {"x":0.5,"other":[1]}')
    enqueued, free, told, repeated, negative, failed, otherwise, pruned = study(
        shell,
        "ask grid --space space.toml",
        "ask grid --space space.toml --json",
        "tell grid 0 0.25 --json",
        "tell grid 0 0.25",
        "tell grid 1 -1.5e-3 --quiet",
        "ask grid",
        "tell grid 0 0.5",
        "tell grid 2 --state pruned --json",
    )
    first = read(enqueued)
    assert first["number"] == 0
    assert (first["params"].pop("x"), first["params"].pop("other")) == (0.5, [1])
    assert first["params"].pop("n") in range(1, 5)
    assert first["params"] == {}
    second = read(free)
    assert second["number"] == 1
    assert list(second["params"]) == ["x", "n"]
    assert read(told) == {"number": 0, "state": "COMPLETE", "values": [0.25]}
    assert (repeated.status, repeated.lines) == (0, ["trial 0 of grid is COMPLETE"])
    assert (negative.status, negative.out, negative.err) == (0, "", "")
    assert read(failed) == {"number": 2, "params": {}}
    assert (otherwise.status, otherwise.lines) == (
        8,
        ["qwf: trial 0 of grid is COMPLETE with 0.25: only one that runs can be told (exit 8)"],
    )
    assert read(pruned)["state"] == "PRUNED"
    storage = StudyStorage(server.url)
    trials = optuna.load_study(study_name="grid", storage=storage).trials
    storage.close()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED]
    assert [trial.values for trial in trials] == [[0.25], [-1.5e-3], None]


def test_what_a_study_holds_is_shown_and_written(shell: Inside, server: Server) -> None:
    storage = StudyStorage(server.url)
    made = optuna.create_study(study_name="two", storage=storage, directions=["minimize", "maximize"])
    one = optuna.create_study(study_name="one", storage=storage)
    one.set_user_attr("note", {"of": [1, None]})
    made.optimize(lambda trial: (trial.suggest_float("x", 0, 1), trial.number % 3), n_trials=6)
    one.optimize(lambda trial: trial.suggest_int("n", 0, 9), n_trials=5)
    best, front, front_table, listed, table, info, facts, trials, lines, to_csv, to_jsonl, again, odd = study(
        shell,
        "best one --json",
        "best two --json",
        "best two",
        "ls --json",
        "ls",
        "info one --json",
        "info one",
        "trials one --json",
        "trials one",
        "trials two -o two.csv --json",
        "trials two --out two.jsonl",
        "trials two -o two.csv",
        "trials two -o two.xls",
    )
    assert [row["number"] for row in read(best)] == [one.best_trial.number]
    assert {row["number"] for row in read(front)} == {trial.number for trial in made.best_trials}
    assert len(front_table.out.splitlines()) == len(made.best_trials)
    assert [(row["name"], row["trials"]) for row in read(listed)] == [("one", 5), ("two", 6)]
    assert read(listed)[0]["best"] == {"number": one.best_trial.number, "values": [one.best_value]}
    assert [line.split()[0] for line in table.out.splitlines()] == ["one", "two"]
    known = read(info)
    assert known["states"] == {"COMPLETE": 5}
    assert known["user_attrs"] == {"note": {"of": [1, None]}}
    assert "IntDistribution" in known["params"]["n"]
    assert "states COMPLETE" in facts.out
    assert [(row["number"], row["params"]) for row in read(trials)] == [
        (trial.number, trial.params) for trial in one.trials
    ]
    assert [line.split()[0] for line in lines.out.splitlines()] == [str(number) for number in range(5)]
    assert read(to_csv) == {"file": "two.csv", "trials": 6}
    with (shell.directory / "two.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [[float(row["values_0"]), float(row["values_1"])] for row in rows] == [
        trial.values for trial in made.trials
    ]
    assert (to_jsonl.status, to_jsonl.lines) == (0, ["wrote two.jsonl, trials: 6"])
    assert len((shell.directory / "two.jsonl").read_text().splitlines()) == 6
    assert (again.status, again.lines) == (
        7,
        ["qwf: two.csv is there already: --overwrite replaces it (exit 7)"],
    )
    assert (odd.status, odd.lines) == (
        2,
        ["qwf: two.xls must end with .csv or .jsonl: that says what is written (exit 2)"],
    )
    storage.close()


def test_studies_are_removed_only_when_that_is_meant(shell: Inside, server: Server) -> None:
    study(shell, "create one", "create two")
    unasked, removed, gone = study(shell, "rm one", "rm nobody one two --yes", "rm one --yes --json")
    assert (unasked.status, unasked.lines) == (
        2,
        ["qwf: one has 0 trials: --yes removes it where nobody can be asked (exit 2)"],
    )
    assert (removed.status, removed.out) == (7, "")
    assert removed.lines == ["removed one, two", "qwf: there is no study 'nobody' (exit 7)"]
    error = {"code": 7, "message": "there is no study 'one'"}
    assert (gone.status, json.loads(gone.out)) == (7, {"removed": [], "error": error})


@pytest.mark.parametrize(("typed", "said", "left"), [("n\n", "", 1), ("y\n", "removed one", 0)])
def test_on_a_terminal_it_is_asked_first(
    shell: Inside, server: Server, typed: str, said: str, left: int
) -> None:
    study(shell, "create one")
    terminal = Shell.at(shell.directory, QWF_URL=server.url)
    status, seen = terminal.on_terminal("study", "rm", "one", typed=typed)
    echo, seen = seen.split("\r\n", 1)
    assert (status, echo) == (0, typed.strip())
    assert seen.strip() == f"Remove one with 0 trials? [y/N]: {said}".strip()
    assert len(read(study(shell, "ls --json")[0])) == left


REFUSED = [
    ("best none", 7, "there is no study 'none'"),
    ("info a\x1bb", 7, r"there is no study 'a\x1bb'"),
    ("create a:b", 7, "the name of a study 'a:b' may hold only letters, digits, '.', '_' and '-' (1 to 128)"),
    ("create new --direction up", 2, "'up' is no direction: minimize or maximize"),
    ("best grid", 7, "the study grid has no best trial: none is complete yet"),
    ("ask grid --space none.json", 7, "the space in none.json cannot be used: No such file or directory"),
    ("tell grid 0", 2, "give a value for each objective, or --state fail or pruned"),
    ("tell grid 0 1 --state fail", 2, "give a value for each objective, or --state fail or pruned"),
    ("tell grid 0 --state done", 2, "--state 'done' is none: fail or pruned"),
    ("tell grid 0 x", 2, "'x' is no value: write a number"),
    ("tell grid 0 nan", 7, "'nan' is no value that can be compared: --state fail ends the trial without one"),
    ("tell grid 0 1 2", 2, "grid has 1 objective, and 2 values are given"),
    ("tell grid 5 1", 7, "the study grid has no trial 5"),
    ("enqueue grid {", 7, "the parameters '{' are no JSON: "),
    ("enqueue grid [1]", 7, "the parameters '[1]' are no JSON object: write '{\"x\": 1}'"),
]
"""Command, exit status, and what is said."""


def test_what_cannot_be_done_is_said_in_a_line(shell: Inside, server: Server) -> None:
    study(shell, "create grid")
    before = server.contents()
    for outcome, (command, status, said) in zip(
        study(shell, *(command for command, _, _ in REFUSED)), REFUSED, strict=True
    ):
        assert (outcome.status, outcome.out) == (status, ""), command
        assert said in outcome.err
        assert outcome.lines[-1].endswith(f"(exit {status})")
    assert server.contents() == before


def test_trials_of_dead_jobs_end_and_are_enqueued_again(shell: Inside) -> None:
    study(shell, "create grid", 'enqueue grid {"x":0.5}')
    program = (
        "import os; from qwf_async.study import load_enhanced_study as load; load('grid').ask(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)
    begun, reaped, again, asked, info = study(
        shell,
        "ask grid",
        "reap grid --retry --json",
        "reap grid --retry",
        "ask grid",
        "info grid --json",
    )
    assert read(begun) == {"number": 1, "params": {}}  # no job of its own that could be dead
    assert read(reaped) == {"study": "grid", "reaped": [0], "enqueued_again": 1}
    assert (again.status, again.lines) == (0, ["grid: no job is dead"])
    assert read(asked) == {"number": 2, "params": {"x": 0.5}}
    assert read(info)["states"] == {"FAIL": 1, "RUNNING": 2}


def test_a_parameter_of_another_kind_begins_no_trial(shell: Inside) -> None:
    (shell.directory / "other.toml").write_text('x = {type = "int", low = 0, high = 1}')
    study(shell, "create grid", "ask grid --space space.toml", 'enqueue grid {"x":9}')
    other, outside, infinite, listed = study(
        shell, "ask grid --space other.toml", "ask grid --space space.toml", "tell grid 1 inf", "ls --json"
    )
    assert (other.status, len(other.lines)) == (7, 1)
    assert "the parameter 'x' in other.toml cannot be IntDistribution" in other.err
    assert read(outside)["params"]["x"] == 9
    assert "with value 9 is out of range" in outside.lines[0]
    assert infinite.status == 0
    assert read(listed)[0]["states"] == {"COMPLETE": 1, "RUNNING": 1}
    assert read(listed)[0]["best"] == {"number": 1, "values": ["Infinity"]}
