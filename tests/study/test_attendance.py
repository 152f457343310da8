"""Trials of processes that died do not run for ever; those that a process left on purpose do."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Any

import optuna
import pytest
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import TrialState

from qwf_async.study import attendance
from qwf_async.study.keys import StudyKeys
from qwf_async.study.storage import StudyStorage
from qwf_async.study.writer import Writer
from tests.conftest import PATIENCE, Server


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendance, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(attendance, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(attendance, "LEASE_SECONDS", 0.3)


@pytest.fixture
def storage(own_server: Server, looks_often: None) -> Iterator[StudyStorage]:
    storage = StudyStorage(own_server.url)
    yield storage
    storage.close()


def ask(url: str, told: Connection) -> None:
    """What a worker does that is killed: it asks for a trial, and never ends."""
    study = optuna.load_study(study_name="s", storage=StudyStorage(url))
    told.send(study.ask().number)
    threading.Event().wait()


def kill_a_worker(url: str) -> int:
    """The number of the trial that a process ran which was killed."""
    here, there = multiprocessing.Pipe()
    worker = multiprocessing.get_context("spawn").Process(target=ask, args=(url, there))
    worker.start()
    assert here.poll(PATIENCE)
    number: int = here.recv()
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    worker.close()
    here.close()
    there.close()
    return number


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_trial_of_a_killed_process_fails_and_is_tried_again(
    own_server: Server, looks_often: None
) -> None:
    failed = threading.Event()
    retry = RetryHeartbeatStaleTrialCallback()

    def callback(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        retry(study, trial)
        failed.set()

    storage = StudyStorage(own_server.url, heartbeat_stale_trial_callback=callback)
    study = optuna.create_study(study_name="s", storage=storage)
    study.optimize(lambda _: 1.0, n_trials=1)
    number = kill_a_worker(own_server.url)
    assert failed.wait(PATIENCE)
    assert study.trials[number].state is TrialState.FAIL
    study.optimize(lambda _: 2.0, n_trials=1)
    assert study.trials[-1].system_attrs["failed_trial"] == number
    assert len(study.trials) == 3
    storage.close()


def test_a_process_that_ends_in_order_leaves_its_trials_to_others(
    own_server: Server, storage: StudyStorage
) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    program = (
        "import sys, optuna; from qwf_async.study.storage import StudyStorage as S;"
        "study = optuna.load_study(study_name='s', storage=S(sys.argv[1])); study.ask()"
    )
    subprocess.run([sys.executable, "-c", program, own_server.url], check=True, timeout=PATIENCE)
    assert not storage._get_stale_trial_ids(study._study_id)
    study.tell(0, 3.0)
    assert study.best_value == 3.0


def test_an_emptied_server_learns_again_who_writes(own_server: Server, storage: StudyStorage) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    other = StudyStorage(own_server.url)
    optuna.load_study(study_name="s", storage=other).ask()
    study.ask()
    storage._attendance.stale_trials(storage, study._study_id)
    key = StudyKeys(prefix="qwf", study_id=study._study_id).writers
    plain: Any = own_server.plain
    before = plain.hgetall(key)
    assert len(before) == 2
    plain.flushall()
    study.set_user_attr("a", 1)
    assert plain.hgetall(key) == before
    other.close()


def test_the_trials_of_a_job_that_ctrl_c_ends_fail(own_server: Server, storage: StudyStorage) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    program = (
        "import sys, optuna; from qwf_async.study.storage import StudyStorage as S;"
        "study = optuna.load_study(study_name='s', storage=S(sys.argv[1]))\n"
        "def objective(trial): raise KeyboardInterrupt\n"
        "study.optimize(objective, n_trials=1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, own_server.url], check=False, capture_output=True, timeout=PATIENCE
    )
    assert done.returncode
    study.optimize(lambda _: 1.0, n_trials=1)
    for _ in range(int(PATIENCE / 0.05)):
        if study.trials[0].state is TrialState.FAIL:
            break
        threading.Event().wait(0.05)
    assert study.trials[0].state is TrialState.FAIL


def test_a_silent_process_of_another_host_is_dead_after_the_lease(
    own_server: Server, storage: StudyStorage
) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    other = StudyStorage(own_server.url)
    trial = optuna.load_study(study_name="s", storage=other).ask()
    lane = trial._trial_id >> 22
    other._attendance.leave({study._study_id})  # it goes silent, and is of another host, as the server has it
    elsewhere = Writer(token="t", host="elsewhere", boot="x", pid=1, started="1")
    plain = own_server.plain
    plain.hset(StudyKeys(prefix="qwf", study_id=study._study_id).writers, str(lane), elsewhere.to_json())
    study.optimize(lambda _: 1.0, n_trials=1)
    for _ in range(int(PATIENCE / 0.05)):
        if study.trials[trial.number].state is TrialState.FAIL:
            break
        threading.Event().wait(0.05)
    assert study.trials[trial.number].state is TrialState.FAIL
    trial.study.tell(trial, 5.0)  # it was alive after all: its result counts
    assert study.trials[trial.number].value == 5.0
    other.close()


def test_a_process_of_another_host_that_ended_in_order_is_never_dead(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "LEASE_SECONDS", 0)
    with closing(StudyStorage(own_server.url)) as storage, closing(StudyStorage(own_server.url)) as other:
        study = optuna.create_study(study_name="s", storage=storage)
        trial = optuna.load_study(study_name="s", storage=other).ask()
        other._attendance.leave({study._study_id})
        key = StudyKeys(prefix="qwf", study_id=study._study_id).writers
        for has_left in (False, True):
            elsewhere = Writer(token="t", host="elsewhere", boot="x", pid=1, started="1", has_left=has_left)
            with own_server.plain as plain:
                plain.hset(key, str(trial._trial_id >> 22), elsewhere.to_json())
            looks = [storage._get_stale_trial_ids(study._study_id) for _ in range(3)]
            assert looks[-1] == ([] if has_left else [trial._trial_id])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_heartbeats_are_as_those_of_optuna(own_server: Server) -> None:
    storage = StudyStorage(own_server.url, heartbeat_interval=1, grace_period=1)
    study = optuna.create_study(study_name="s", storage=storage)
    with pytest.warns(UserWarning, match="supposed to be used with"):
        old, new, silent = study.ask(), study.ask(), study.ask()
    storage.record_heartbeat(old._trial_id)
    key = StudyKeys(prefix="qwf", study_id=study._study_id).beats
    own_server.plain.hincrby(key, str(old._trial_id), -2_000)
    storage.record_heartbeat(new._trial_id)
    fail_stale_trials(study)
    states = [study.trials[trial.number].state for trial in (old, new, silent)]
    assert states == [TrialState.FAIL, TrialState.RUNNING, TrialState.RUNNING]
    for trial in (new, silent):
        study.tell(trial, 1.0)
    storage.close()


def test_a_forked_process_writes_by_a_lane_of_its_own(own_server: Server, storage: StudyStorage) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    study.optimize(lambda _: 1.0, n_trials=2)
    child = os.fork()
    if child == 0:
        try:
            study.optimize(lambda _: 2.0, n_trials=2)
            storage.close()
        finally:
            os._exit(0)
    study.optimize(lambda _: 3.0, n_trials=2)
    os.waitpid(child, 0)
    assert sorted(trial.value or 0 for trial in study.trials) == [1, 1, 2, 2, 3, 3]
    assert len({trial._trial_id >> 22 for trial in study.trials}) == 2


def test_who_leaves_nothing_running_leaves_no_trace_among_the_writers(
    own_server: Server, storage: StudyStorage
) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    keys = StudyKeys(prefix="qwf", study_id=study._study_id)
    for _ in range(3):
        study.optimize(lambda _: 1.0, n_trials=1)
        assert own_server.plain.hlen(keys.writers.decode()) == 1
        storage.close()
        assert not own_server.plain.exists(keys.writers, keys.beats)
    assert len({trial._trial_id >> 22 for trial in study.trials}) == 3


def test_a_lane_is_given_to_one_process_alone(own_server: Server, storage: StudyStorage) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    study.optimize(lambda _: 1.0, n_trials=1)
    other = StudyStorage(own_server.url)
    twin = optuna.load_study(study_name="s", storage=other)
    other._studies.known(study._study_id).replica.lane = study.trials[0]._trial_id >> 22
    twin.optimize(lambda _: 2.0, n_trials=1)
    assert [trial.value for trial in study.trials] == [1.0, 2.0]
    other.close()


def test_parameters_are_seen_by_others_while_the_objective_runs(
    own_server: Server, storage: StudyStorage
) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    trial = study.ask()
    value = trial.suggest_float("x", 0, 1)
    other = StudyStorage(own_server.url)
    twin = optuna.load_study(study_name="s", storage=other)
    for _ in range(int(PATIENCE / 0.05)):
        if twin.trials[1].params:
            break
        threading.Event().wait(0.05)
    assert twin.trials[1].params == {"x": value}
    other.close()
