"""What the guide of stable connections tests, by its names: against a real server, with real processes."""

from __future__ import annotations

from collections.abc import Iterator

import optuna
import pytest
from optuna.trial import TrialState

from qwf_async.study import (
    StudyStorage,
    create_enhanced_study,
    get_enhanced_storage,
    get_storage_status,
    load_enhanced_study,
)
from tests.conftest import Server, new_server
from tests.support.study_jobs import jobs


@pytest.fixture
def lasting() -> Iterator[Server]:
    """A server that keeps on disk what it is given."""
    yield from new_server("valkey", appendonly="yes")


def parabola(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", -10, 10) - 2) ** 2


def told(lines: list[str]) -> dict[int, float]:
    """Number → value of the trials that the jobs were told are done. Each number is there once."""
    rows = [line.split() for line in lines if not line.startswith("begun")]
    assert len({number for number, _ in rows}) == len(rows)
    return {int(number): float(value) for number, value in rows}


def test_connection(server: Server) -> None:
    storage = get_enhanced_storage(server.url)
    assert get_enhanced_storage(server.url) is storage
    create_enhanced_study("one", url=server.url).optimize(parabola, n_trials=10)
    status = get_storage_status(server.url)
    assert status["mode"] == "online"
    storage.close()


def test_one_study(each_server: Server) -> None:
    sampler, pruner = optuna.samplers.RandomSampler(seed=1), optuna.pruners.MedianPruner()
    study = create_enhanced_study("one", "minimize", sampler, pruner, url=each_server.url)
    study.optimize(parabola, n_trials=20)
    again = load_enhanced_study("one", url=each_server.url)
    assert len(again.trials) == 20
    assert again.best_value == study.best_value == min(trial.values[0] for trial in again.trials)
    get_enhanced_storage(each_server.url).close()


def test_parallel_studies(server: Server) -> None:
    with jobs(server.url, "study-%d", number=4, trials=10) as process:
        lines = process.communicate()[0].splitlines()
    assert process.returncode == 0
    assert sum(not line.startswith("begun") for line in lines) == 40
    storage = StudyStorage(server.url)
    for number in range(4):
        study = optuna.load_study(study_name=f"study-{number}", storage=storage)
        assert [(trial.number, trial.state) for trial in study.trials] == [
            (trial, TrialState.COMPLETE) for trial in range(10)
        ]
    storage.close()
