"""A study whose replies get lost, one of 200 with its connection: no call is told, and no trial is lost or doubled."""

from __future__ import annotations

import random
from contextlib import closing

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from qwf_async.study import StudyStorage
from tests.conftest import Server
from tests.support.relay import relaying

TRIALS = 1000


def test_lost_replies_lose_and_double_nothing(each_server: Server) -> None:
    chance = random.Random(12)
    returned: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        returned.append(trial.suggest_float("x", 0, 1))
        return returned[-1]

    with relaying(each_server) as relay, closing(StudyStorage(relay.url)) as storage:
        study = optuna.create_study(storage=storage, sampler=RandomSampler(seed=1))
        relay.replies.cut_after((int(chance.expovariate(1 / 200)) for _ in range(10**6)), in_pieces=True)
        study.optimize(objective, n_trials=TRIALS)
        assert relay.cuts > 5
        relay.replies.cut_after([])
        name = study.study_name
    with closing(StudyStorage(each_server.url)) as storage:
        trials = optuna.load_study(study_name=name, storage=storage).trials
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert [trial.value for trial in trials] == returned
