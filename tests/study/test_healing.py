"""A server that loses what a study had gets it back from any process that still has it open."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from qwf_async.study import compaction, live_study
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server


@contextmanager
def opened(server: Server, count: int) -> Iterator[list[StudyStorage]]:
    with ExitStack() as stack:
        storages = [StudyStorage(server.url) for _ in range(count)]
        for storage in storages:
            stack.callback(storage.close)
        yield storages


def study_of(storage: StudyStorage) -> optuna.Study:
    return optuna.create_study(storage=storage, study_name="s", load_if_exists=True)


def objective(trial: optuna.Trial) -> float:
    value = trial.suggest_float("x", 0, 1)
    trial.set_user_attr("kind", trial.suggest_categorical("c", ["a", None, 3]))
    trial.report(value, 1)
    if value < 0.2:
        raise optuna.TrialPruned
    return value


@pytest.mark.parametrize("trim", [False, True])
def test_an_emptied_server_is_filled_again(
    each_own_server: Server, trim: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trim:
        monkeypatch.setattr(live_study, "AFTER", 40)
    with opened(each_own_server, 3) as (one, other, third):
        study, twin = study_of(one), study_of(other)
        study.enqueue_trial({"x": 0.5})
        study.optimize(objective, n_trials=20)
        twin.optimize(objective, n_trials=10)
        study.enqueue_trial({"x": 0.25})
        running = twin.ask()
        running.suggest_float("x", 0, 1)
        running.report(0.5, 1)
        study.set_user_attr("note", [1, float("inf")])
        before, attributes = study.trials, study.user_attrs
        each_own_server.plain.flushall()
        assert study.trials == before
        assert twin.trials == before
        assert study_of(third).trials == before
        assert study_of(third).user_attrs == attributes
        twin.tell(running, 4.0)
        assert study.trials[running.number].value == 4.0
        assert [trial.number for trial in study.trials] == list(range(len(before)))


@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_came_back_older_lacks_nothing_in_the_end(own_server: Server, seed: int) -> None:
    chance = random.Random(seed)
    with opened(own_server, 2) as (one, other):
        study, twin = study_of(one), study_of(other)
        study.optimize(objective, n_trials=chance.randrange(1, 10))
        running = [study.ask(), twin.ask()]
        plain: Any = own_server.plain
        keys = [f"qwf:study:{{{study._study_id}}}:{ending}" for ending in ("head", "log", "seq")]
        kept = {key: plain.dump(key) for key in keys}
        study.optimize(objective, n_trials=chance.randrange(1, 10))
        twin.optimize(objective, n_trials=chance.randrange(1, 10))
        for trial in running:
            trial.suggest_float("x", 0, 1)
            trial.set_user_attr("a", 1)
            trial.set_user_attr("a", 2)
        before = study.trials
        for key, value in kept.items():
            plain.restore(key, 0, value, replace=True)
        twin.optimize(objective, n_trials=1)
        assert study.trials[: len(before)] == before
        for trial in running:
            trial.study.tell(trial, 1.0)
        states = [trial.state for trial in twin.trials]
        assert TrialState.RUNNING not in states
        assert len(states) == len(before) + 1


def test_a_study_that_was_removed_stays_away(own_server: Server) -> None:
    with opened(own_server, 2) as (one, other):
        study, twin = study_of(one), study_of(other)
        study.optimize(objective, n_trials=2)
        assert len(twin.trials) == 2
        optuna.delete_study(study_name="s", storage=one)
        with pytest.raises(KeyError, match="removed"):
            twin.ask()
        assert not other.get_all_studies()


def test_the_log_is_trimmed_and_says_the_same(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_study, "AFTER", 50)
    with opened(own_server, 3) as (one, other, third):
        study, twin = study_of(one), study_of(other)
        for _ in range(10):
            study.optimize(objective, n_trials=3)
            twin.optimize(objective, n_trials=3)
        assert study.trials == twin.trials == study_of(third).trials
        assert len(study.trials) == 60
        assert own_server.plain.llen(f"qwf:study:{{{study._study_id}}}:log") < 120
    assert compaction.AFTER == 20_000
