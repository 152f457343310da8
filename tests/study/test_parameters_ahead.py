"""Parameters of known names are written with the next entry of their process: nobody misses one that matters."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from qwf_async.study import StudyStorage
from tests.conftest import Server


@pytest.fixture
def storage(server: Server) -> Iterator[StudyStorage]:
    with closing(StudyStorage(server.url)) as found:
        yield found


def as_others_see_it(server: Server, study: optuna.Study) -> list[Any]:
    with closing(StudyStorage(server.url)) as found:
        trials = optuna.load_study(study_name=study.study_name, storage=found).trials
        return [(trial.params, trial.state) for trial in trials]


def asked(storage: StudyStorage) -> tuple[optuna.Study, optuna.Trial]:
    """A study that knows x, and a trial that has just been given its own."""
    study = optuna.create_study(storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.suggest_float("x", 0, 1)
    return study, trial


def test_this_process_sees_them_at_once(storage: StudyStorage) -> None:
    study, trial = asked(storage)
    assert storage.get_trial(trial._trial_id).params == trial.params
    assert study.trials[1].params == trial.params
    assert storage.get_trial(trial._trial_id).params == trial.params


@pytest.mark.parametrize("how", ["report", "attribute", "tell", "read", "close"])
def test_others_see_them_with_the_next_entry(server: Server, storage: StudyStorage, how: str) -> None:
    study, trial = asked(storage)
    match how:
        case "report":
            trial.report(1.0, 0)
        case "attribute":
            trial.set_user_attr("a", 1)
        case "tell":
            study.tell(trial, 1.0)
        case "read":
            study.get_trials()
        case "close":
            storage.close()
    state = TrialState.COMPLETE if how == "tell" else TrialState.RUNNING
    assert as_others_see_it(server, study)[1] == (trial.params, state)


def test_all_parameters_of_a_trial_are_one_entry(server: Server, storage: StudyStorage) -> None:
    study = optuna.create_study(storage=storage)

    def objective(trial: optuna.Trial) -> float:
        return sum(trial.suggest_float(f"x{number}", 0, number + 1) for number in range(10))

    study.optimize(objective, n_trials=1)
    log = f"qwf:study:{{{study._study_id}}}:log"
    before = server.plain.llen(log)
    study.optimize(objective, n_trials=3)
    assert server.plain.llen(log) == before + 3 * len(["begin", "result with parameters"])
    assert all(len(trial.params) == 10 for trial in study.trials)


def test_an_incompatible_one_is_refused(storage: StudyStorage) -> None:
    _, trial = asked(storage)
    with pytest.raises(ValueError, match="different distribution kind"):
        storage.set_trial_param(trial._trial_id, "x", 0, optuna.distributions.CategoricalDistribution([1, 2]))


def test_they_outlast_a_server_that_was_emptied(server: Server, storage: StudyStorage) -> None:
    study, trial = asked(storage)
    server.plain.flushall()
    study.tell(trial, 1.0)
    assert as_others_see_it(server, study)[1] == (trial.params, TrialState.COMPLETE)


def test_a_storage_that_nobody_refers_to_writes_them(server: Server) -> None:
    study_name = "s"
    optuna.create_study(storage=StudyStorage(server.url), study_name=study_name)
    for _ in range(2):
        optuna.load_study(storage=StudyStorage(server.url), study_name=study_name).ask().suggest_float(
            "x", 0, 1
        )
        gc.collect()
    with closing(StudyStorage(server.url)) as found:
        trials = optuna.load_study(study_name=study_name, storage=found).trials
    assert [list(trial.params) for trial in trials] == [["x"], ["x"]]


def test_a_process_that_ends_writes_them(server: Server, storage: StudyStorage) -> None:
    study, _ = asked(storage)
    program = f"""
import optuna
from qwf_async.study import StudyStorage
study = optuna.load_study(study_name={study.study_name!r}, storage=StudyStorage({server.url!r}))
study.ask().suggest_float("x", 0, 1)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)
    assert list(as_others_see_it(server, study)[2][0]) == ["x"]


def test_what_tpe_notes_waits_with_its_parameters(server: Server, storage: StudyStorage) -> None:
    study = optuna.create_study(
        storage=storage, sampler=optuna.samplers.TPESampler(n_startup_trials=2, seed=1)
    )
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    shown = storage.get_trial(trial._trial_id)
    assert shown.params == trial.params
    assert [key for key in shown.system_attrs if key.startswith("tpe:relative_params")]
    study.tell(trial, 1.0)
    assert storage.get_trial(trial._trial_id).system_attrs == shown.system_attrs
    with closing(StudyStorage(server.url)) as other:
        assert optuna.load_study(study_name=study.study_name, storage=other).trials == study.trials
