"""A study on a cluster: what its trials are, and that each is there once."""

from __future__ import annotations

import optuna

from qwf_async.study.storage import StudyStorage
from tests.conftest import PATIENCE
from tests.support.clusters import Cluster


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -1, 1)
    trial.report(x, 0)
    return x * x


def check(cluster: Cluster, trials: int, name: str = "psi") -> optuna.Study:
    """The study as a storage that knows nothing yet reads it: every trial once, with its value."""
    storage = StudyStorage(cluster.url, after=PATIENCE)
    study = optuna.load_study(study_name=name, storage=storage)
    assert [trial.number for trial in study.trials] == list(range(trials))
    assert all(trial.value == trial.params["x"] * trial.params["x"] for trial in study.trials)
    storage.close()
    return study
