"""What a log of JournalStorage lost moves no result to another trial."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from qwf_async.errors import DamagedData
from qwf_async.study.foreign.found import ForeignStudy
from qwf_async.study.foreign.journal import BEGINNING_LOST, read_journal
from qwf_async.study.foreign.lost_entries import Entry

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


class Log(BaseJournalBackend):
    """A log in memory."""

    def __init__(self) -> None:
        self.entries: list[Entry | None] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter([entry for entry in self.entries[log_number_from:] if entry])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.entries += json.loads(json.dumps(logs))


def worked(turns: list[int]) -> Log:
    """The log of workers who take turns: each turn begins a trial, gives it a parameter, a report, or its end."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    log = Log()
    optuna.create_study(storage=JournalStorage(log), study_name="s")
    studies = [optuna.load_study(storage=JournalStorage(log), study_name="s") for _ in range(3)]
    at_work: list[list[Any]] = [[], [], []]
    for worker in turns:
        if not at_work[worker]:
            trial = studies[worker].ask()
            x = worker + trial._trial_id / 1000
            at_work[worker] = [
                lambda study=studies[worker], trial=trial, x=x: study.tell(trial, x),
                lambda trial=trial, x=x: trial.set_user_attr("x", x),
                lambda trial=trial, x=x: trial.suggest_float(f"x{x}", 0, 1),
            ]
        else:
            at_work[worker].pop()()
    return log


def read(log: Log, lost: set[int]) -> ForeignStudy:
    left = [None if number in lost else entry for number, entry in enumerate(log.entries)]
    return read_journal(lambda: left, where="the log").studies[0]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 2), min_size=6, max_size=60), st.data())
def test_no_result_goes_to_another_trial(turns: list[int], data: st.DataObject) -> None:
    log = worked(turns)
    lost = data.draw(st.sets(st.integers(1, len(log.entries) - 1), max_size=4))
    whole = read(log, set()).trials
    try:
        left = read(log, lost).trials
    except DamagedData:
        return
    assert len(left) <= len(whole)
    for mine, true in zip(left, whole, strict=False):
        assert mine._trial_id == true._trial_id
        assert mine.params.items() <= true.params.items()
        assert (mine.user_attrs.items()) <= true.user_attrs.items()
        assert mine.values in (None, true.values)
        assert mine.datetime_complete in (None, true.datetime_complete)


def test_a_trial_whose_beginning_is_lost_keeps_its_number_and_results() -> None:
    log = worked([0, 0, 0, 0, 1, 2, 1, 2, 1, 1, 2, 2, 0, 0, 0, 0])
    begins = [number for number, entry in enumerate(log.entries) if entry and entry["op_code"] == 4]
    whole = read(log, set()).trials
    left = read(log, {begins[1]}).trials
    assert [trial.number for trial in left] == [trial.number for trial in whole]
    assert [trial.values for trial in left] == [trial.values for trial in whole]
    assert [BEGINNING_LOST in trial.system_attrs for trial in left] == [False, True, False, False]


def test_what_cannot_be_told_is_refused() -> None:
    """After the lost entry a trial is queued, and somebody else runs one of two: which, depends on what was lost."""
    log = worked([])
    begin = {"op_code": 4, "study_id": 0, "datetime_start": None}
    run = {"op_code": 8, "worker_id": "c", "trial_id": 1, "user_attr": {"x": 1}}
    log.entries += [begin | {"worker_id": "a"}, None, begin | {"worker_id": "b", "state": 4}, run]
    with pytest.raises(DamagedData, match=r"entry 2 of the log is lost, and it cannot be told"):
        read(log, set())
    log.entries.pop()
    assert len(read(log, set()).trials) == 2
    with pytest.raises(DamagedData, match="begins study 0 is lost"):
        read(log, {0})


def test_a_trial_of_which_the_study_is_unknown_is_told() -> None:
    log = worked([0, 0, 0, 0, 1, 1, 1, 1])
    optuna.create_study(storage=JournalStorage(log), study_name="other")
    study = optuna.load_study(storage=JournalStorage(log), study_name="s")
    for _ in range(2):
        study.tell(study.ask(), 1.0)
    begins = [number for number, entry in enumerate(log.entries) if entry and entry["op_code"] == 4]
    left = [None if number == begins[2] else entry for number, entry in enumerate(log.entries)]
    found = read_journal(lambda: left, where="the log")
    assert found.notes == [
        "1 trials of the log lost their first entry and were left out: their study is not known"
    ]
    assert [trial._trial_id for trial in found.studies[0].trials] == [0, 1, 3]
