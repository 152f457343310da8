"""What the guide of stable connections tests, by its names: on real servers, with jobs that are real processes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from qwf_async.study import (
    create_enhanced_study,
    get_enhanced_storage,
    get_storage_status,
    load_enhanced_study,
)
from tests.conftest import Server, new_server
from tests.support.study_jobs import jobs


@pytest.fixture
def lasting() -> Iterator[Server]:
    """A server of the test's own that keeps on disk what it is given."""
    yield from new_server("valkey", appendonly="yes")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def parabola(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", -10, 10) - 2) ** 2


class Told:
    """What jobs were told is stored: number → value. No number is told twice."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self._lines = (line.split() for line in process.stdout)
        self._jobs: set[str] = set()
        self.values: dict[int, float] = {}

    def more(self, count: int | None = None) -> None:
        """Read until so many more trials are done, or until all jobs have ended."""
        for job, number, value in islice(self._lines, count):
            self._jobs.add(job)
            assert int(number) not in self.values
            self.values[int(number)] = float(value)
        if count is None:
            assert self._process.wait() == 0

    def until_all_work(self, jobs: int) -> None:
        """Read until each job has done a trial."""
        while len(self._jobs) < jobs:
            self.more(1)

    def is_stored(self, study: optuna.Study) -> None:
        """Fails unless all of it is in the study, and nothing else."""
        found = {trial.number: trial for trial in study.trials}
        assert {number: trial.value for number, trial in found.items()} == self.values
        assert {trial.state for trial in found.values()} == {TrialState.COMPLETE}


def test_connection(server: Server) -> None:
    with closing(get_enhanced_storage(server.url)) as storage:
        assert get_enhanced_storage(server.url) is storage
        create_enhanced_study("one", None, RandomSampler(), url=server.url).optimize(parabola, n_trials=80)
        status = get_storage_status(server.url)
        assert (status["mode"], status["server"], status["failovers"]) == ("online", server.url, 0)
        info = storage.get_storage_info()
        assert (info["studies"], info["trials"]["COMPLETE"]) == (1, 80)
        assert info["connections_succeeded_percent"] == 100
        assert info["connections_reused_percent"] >= 99


def test_one_study(each_server: Server) -> None:
    sampler, pruner = RandomSampler(seed=1), optuna.pruners.MedianPruner()
    with closing(get_enhanced_storage(each_server.url)):
        study = create_enhanced_study("one", "minimize", sampler, pruner, url=each_server.url)
        study.optimize(parabola, n_trials=20)
        again = load_enhanced_study("one", url=each_server.url)
        assert len(again.trials) == 20
        assert again.best_value == study.best_value == min(trial.values[0] for trial in again.trials)


def test_parallel_studies(server: Server) -> None:
    with jobs(server.url, "study-%d", number=4, trials=10) as process:
        lines = process.communicate()[0].splitlines()
    assert (process.returncode, len(lines)) == (0, 40)
    with closing(get_enhanced_storage(server.url)):
        for number in range(4):
            study = load_enhanced_study(f"study-{number}", url=server.url)
            assert [(trial.number, trial.state) for trial in study.trials] == [
                (trial, TrialState.COMPLETE) for trial in range(10)
            ]


def test_failover(lasting: Server) -> None:
    with jobs(lasting.url, "grid", number=4, trials=20) as process:
        told = Told(process)
        told.until_all_work(4)
        lasting.kill()
        told.more()
    assert len(told.values) == 80
    with closing(get_enhanced_storage(lasting.url)) as storage:
        told.is_stored(load_enhanced_study("grid", url=lasting.url))  # from the file of this host
        status = storage.get_storage_status()
        assert (status["mode"], status["latency_ms"]) == ("offline", None)
        assert status["pending_entries"] > 0


def test_recovery(lasting: Server) -> None:
    with jobs(lasting.url, "grid", number=4, trials=60) as process:
        told = Told(process)
        told.until_all_work(4)
        lasting.kill()
        told.more(60)
        lasting.start()
        told.more()
    assert len(told.values) == 240
    with closing(get_enhanced_storage(lasting.url)) as storage:
        storage.sync(30)
        told.is_stored(load_enhanced_study("grid", url=lasting.url))
        status = storage.get_storage_status()
        assert (status["mode"], status["pending_entries"]) == ("online", 0)


def test_high_concurrency(server: Server) -> None:
    with jobs(server.url, "grid", number=30, trials=4) as process:
        told = Told(process)
        told.more()
    assert sorted(told.values) == list(range(120))
    with closing(get_enhanced_storage(server.url)):
        told.is_stored(load_enhanced_study("grid", url=server.url))
