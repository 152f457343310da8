"""What goes wrong at the edges of an outage: lost replies, queued trials, results of others, full disks, forks."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from qwf_async.errors import SpoolFull
from qwf_async.study.file_lock import FileLock
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server, new_server
from tests.support.failing_over import mode, on_server, study_of, when_back
from tests.support.relay import Relay, relaying

Opened = Callable[[str, str], StudyStorage]


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server that has what it acknowledged after kill -9, too."""
    yield from new_server("valkey", appendonly="yes")


@pytest.fixture
def relay(durable: Server) -> Iterator[Relay]:
    with relaying(durable) as relay:
        yield relay


@pytest.fixture
def opened(tmp_path: Path, relay: Relay) -> Iterator[Opened]:
    with ExitStack() as stack:

        def open_storage(url: str, host: str = "host") -> StudyStorage:
            storage = StudyStorage(url, after=0.2, directory=tmp_path / host)
            stack.callback(storage.close)
            return storage

        yield open_storage


def go_away(relay: Relay) -> None:
    relay.refuse()
    relay.cut()


def lose_what_is_answered(relay: Relay) -> None:
    """What is sent from now on arrives, and is never answered."""
    relay.lose_replies([0] * 1000)


def complete(study: optuna.Study, values: list[float]) -> None:
    """Trials with these values, one after the other."""
    for value in values:
        trial = study.ask()
        trial.set_user_attr("value", value)
        study.tell(trial, value)


def told(study: optuna.Study, value: float) -> float:
    complete(study, [value])
    return value


def test_what_was_applied_without_an_answer_is_there_once(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    storage = opened(relay.url, "host")
    study = study_of(storage)
    complete(study, [0.0])
    running = study.ask()
    lose_what_is_answered(relay)
    study.tell(running, 1.0)
    complete(study, [2.0, 3.0])
    before = study.trials
    relay.normal()
    when_back(storage)
    assert study.trials == before == on_server(durable.url, tmp_path / "elsewhere")
    assert [trial.value for trial in before] == [0.0, 1.0, 2.0, 3.0]


def test_a_trial_that_was_begun_without_an_answer_keeps_its_id_and_its_number(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    storage = opened(relay.url, "host")
    study = study_of(storage)
    complete(study, [0.0])
    lose_what_is_answered(relay)
    begun = study.ask()
    complete(study, [2.0])
    shown = [(trial.number, trial._trial_id) for trial in study.trials]
    relay.normal()
    when_back(storage)
    study.tell(begun, 1.0)
    trials = on_server(durable.url, tmp_path / "elsewhere")
    assert [(trial.number, trial._trial_id) for trial in trials] == shown
    assert [trial.value for trial in trials] == [0.0, 1.0, 2.0]


def test_queued_trials_wait_until_the_server_is_back(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    storage = opened(relay.url, "host")
    study = study_of(storage)
    for x in (0.25, 0.5, 0.75):
        study.enqueue_trial({"x": x})
    complete(study, [0.0])
    assert study.trials[0].state is TrialState.COMPLETE
    lose_what_is_answered(relay)
    unsure = study.ask()
    assert unsure.number == 3
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "WAITING", "WAITING", "RUNNING"]
    relay.normal()
    when_back(storage)
    # The one whose taking was not answered is free again, and has not run twice.
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "WAITING", "WAITING", "RUNNING"]
    assert [study.ask().number for _ in range(3)] == [1, 2, 4]
    assert len(on_server(durable.url, tmp_path / "elsewhere")) == 5


def test_trials_that_are_queued_in_an_outage_are_taken_by_who_queued_them(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    storage = opened(relay.url, "host")
    study = study_of(storage)
    complete(study, [0.0])
    go_away(relay)
    complete(study, [1.0])
    study.enqueue_trial({"x": 0.5})
    trial = study.ask()
    assert trial.suggest_float("x", 0, 1) == 0.5
    study.tell(trial, 2.0)
    relay.normal()
    when_back(storage)
    found = on_server(durable.url, tmp_path / "elsewhere")
    assert [trial.value for trial in found] == [0.0, 1.0, 2.0]
    assert found[2].params == {"x": 0.5}


def test_a_result_of_a_trial_that_ended_otherwise_becomes_a_trial_of_its_own(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    here, there = opened(relay.url, "host"), opened(durable.url, "other")
    study, twin = study_of(here), study_of(there)
    complete(study, [0.0])
    trial, other = study.ask(), study.ask()
    trial.suggest_float("x", 0, 1)
    go_away(relay)
    study.tell(trial, 1.0)
    study.tell(other, 2.0)
    twin.tell(trial.number, 5.0)
    twin.tell(other.number, 2.0)
    relay.normal()
    when_back(here)
    trials = study.trials
    assert trials == on_server(durable.url, tmp_path / "elsewhere")
    assert [found.value for found in trials] == [0.0, 5.0, 2.0, 1.0]
    assert trials[3].system_attrs["qwf:late_result_of"] == trial._trial_id
    assert trials[3].params == trial.params


def test_a_number_that_another_job_was_shown_is_not_shown_again(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    """A job that is away takes the next number while the server gives it to another."""
    away, online = opened(relay.url, "host"), opened(relay.url, "host")
    study, twin = study_of(away), study_of(online)
    complete(study, [0.0])
    complete(twin, [1.0])
    twin_study = next(iter(online.open_studies()))
    assert twin_study.file.shown.mark(2)
    trial = twin.ask()
    assert trial.number == 3
    twin.tell(trial, 3.0)
    when_back(online)
    (found,) = [each for each in on_server(durable.url, tmp_path / "elsewhere") if each.value == 3.0]
    assert found._trial_id == trial._trial_id
    assert (found.number, found.system_attrs["qwf:asked_as"]) == (2, 3)


def test_a_full_disk_acknowledges_nothing_and_the_job_goes_on_when_there_is_room(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    storage = opened(relay.url, "host")
    study = study_of(storage)
    complete(study, [0.0])
    go_away(relay)
    complete(study, [1.0])
    values = [1.0]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        (wal,) = (tmp_path / "host").glob("*.study-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + 30_000, before[1]))
        with pytest.raises(SpoolFull, match="make room"):
            values.extend(told(study, value) for value in map(float, range(2, 1000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert mode(storage) == "offline"
    assert [trial.value for trial in study.trials if trial.value] == values
    complete(study, [values[-1] + 1])
    shown = study.trials
    relay.normal()
    when_back(storage)
    assert shown == study.trials == on_server(durable.url, tmp_path / "elsewhere")


def test_the_child_of_a_fork_goes_on_beside_its_parent(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    storage = opened(relay.url, "host")
    study = study_of(storage)
    complete(study, [0.0])
    go_away(relay)
    complete(study, [1.0])
    child = os.fork()
    if child == 0:
        try:
            complete(study, [2.0, 3.0])
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    complete(study, [4.0])
    assert [trial.number for trial in study.trials] == list(range(5))
    relay.normal()
    when_back(storage)
    values = [trial.value for trial in on_server(durable.url, tmp_path / "elsewhere")]
    assert values == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_study_that_was_removed_meanwhile_is_gone_for_those_that_come_back(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    here, there = opened(relay.url, "host"), opened(durable.url, "other")
    study = study_of(here)
    complete(study, [0.0])
    go_away(relay)
    complete(study, [1.0])
    optuna.delete_study(study_name="s", storage=there)
    relay.normal()
    when_back(here)
    with pytest.raises(KeyError, match="removed"):
        study.ask()
    assert not list((tmp_path / "host").glob("*.study"))


def test_a_job_that_stands_still_does_not_keep_the_others_from_coming_back(
    relay: Relay, opened: Opened, durable: Server, tmp_path: Path
) -> None:
    storage = opened(relay.url, "host")
    study = study_of(storage)
    complete(study, [0.0])
    (path,) = (tmp_path / "host").glob("*.study")
    with closing(FileLock(path.with_suffix(".merge"))) as held:
        assert held.take()
        os.utime(held.path, (0, 0))
        go_away(relay)
        complete(study, [1.0])
        relay.normal()
        when_back(storage)
    assert [trial.value for trial in on_server(durable.url, tmp_path / "elsewhere")] == [0.0, 1.0]
