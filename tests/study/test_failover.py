"""Studies whose server goes away: jobs go on in the file of their host, and nothing is lost, doubled or invented."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import optuna
import pytest
from optuna.trial import TrialState

from qwf_async.errors import DataLost, ServerUnavailable
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server, new_server
from tests.support.failing_over import copied, mode, on_server, study_of, when_back
from tests.support.relay import relaying


class Opening(Protocol):
    """Opens a storage, which is closed at the end."""

    def __call__(self, url: str, host: str = "host", *, keep_copy: bool = True) -> StudyStorage: ...


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server that has what it acknowledged after kill -9, too."""
    yield from new_server("redis", appendonly="yes")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opening]:
    with ExitStack() as stack:

        def open_storage(url: str, host: str = "host", *, keep_copy: bool = True) -> StudyStorage:
            storage = StudyStorage(url, after=0.2, directory=tmp_path / host, keep_copy=keep_copy)
            stack.callback(storage.close)
            return storage

        yield open_storage


def objective(trial: optuna.Trial) -> float:
    value = trial.suggest_float("x", 0, 1)
    trial.set_user_attr("kind", trial.suggest_categorical("c", ["a", None, 3]))
    trial.report(value, 1)
    return value


def test_jobs_go_on_and_all_of_it_comes_to_the_server(
    durable: Server, opened: Opening, tmp_path: Path
) -> None:
    storages = [opened(durable.url) for _ in range(2)]
    studies = [study_of(storage) for storage in storages]
    running = studies[0].ask()
    running.suggest_float("x", 0, 1)
    for study in studies:
        study.optimize(objective, n_trials=2)
    durable.kill()
    for study in studies:
        study.optimize(objective, n_trials=3)
    asked = studies[1].ask()
    studies[0].tell(running, 0.5)
    studies[1].set_user_attr("note", [1, float("inf")])
    before = studies[0].trials
    assert [trial.number for trial in before] == list(range(12))
    assert studies[1].trials == before
    assert {mode(storage) for storage in storages} == {"offline"}
    assert studies[0].best_trial == studies[1].best_trial
    assert storages[0].get_storage_status()["pending_entries"] > 0
    durable.start()
    when_back(*storages)
    assert on_server(durable.url, tmp_path / "elsewhere") == before
    assert [study.trials for study in studies] == [before] * 2
    studies[1].tell(asked, 2.0)
    studies[0].optimize(objective, n_trials=1)
    assert studies[0].user_attrs == {"note": [1, float("inf")]}
    assert [trial.number for trial in studies[1].trials] == list(range(13))


@pytest.mark.parametrize(("what", "keep_copy"), [("empty", True), ("older", True), ("older", False)])
def test_a_server_that_comes_back_with_less_gets_all(
    durable: Server, opened: Opening, tmp_path: Path, what: str, keep_copy: bool
) -> None:
    durable.options |= {"appendonly": "no"}
    one, other = (opened(durable.url, keep_copy=keep_copy) for _ in range(2))
    study, twin = study_of(one), study_of(other)
    study.optimize(objective, n_trials=3)
    durable.plain.config_set("appendonly", "no")
    shutil.rmtree(durable.directory / "appendonlydir")
    if what == "older":
        durable.plain.save()
    running = twin.ask()
    study.optimize(objective, n_trials=4)
    twin.optimize(objective, n_trials=4)
    durable.kill()
    twin.optimize(objective, n_trials=3)
    study.optimize(objective, n_trials=3)
    twin.tell(running, 1.0)
    before = study.trials
    durable.start()
    when_back(one, other)
    assert study.trials == twin.trials == before
    assert on_server(durable.url, tmp_path / "elsewhere") == before
    assert [trial.number for trial in before] == list(range(18))


def test_two_hosts_go_on_apart_and_both_bring_all(durable: Server, opened: Opening, tmp_path: Path) -> None:
    with relaying(durable) as near, relaying(durable) as far:
        one, other = opened(near.url, "one"), opened(far.url, "other")
        study, twin = study_of(one), study_of(other)
        study.optimize(objective, n_trials=2)
        twin.optimize(objective, n_trials=2)
        assert len(study.trials) == 4
        for relay in (near, far):
            relay.refuse()
            relay.cut()
        study.optimize(objective, n_trials=3)
        twin.optimize(objective, n_trials=5)
        shown = study.trials[4:], twin.trials[4:]
        assert [[trial.number for trial in trials] for trials in shown] == [[4, 5, 6], [4, 5, 6, 7, 8]]
        near.normal()
        when_back(one)
        far.normal()
        when_back(other)
        trials = study.trials
        assert twin.trials == trials == on_server(durable.url, tmp_path / "elsewhere")
        assert [trial.number for trial in trials] == list(range(12))
        # What came first keeps its numbers; the others keep their ids, and say what they were shown.
        assert trials[4:7] == shown[0]
        late = {trial._trial_id: trial for trial in trials[7:]}
        for trial in shown[1]:
            now = late[trial._trial_id]
            assert (now.values, now.params) == (trial.values, trial.params)
            assert now.system_attrs.get("qwf:asked_as", now.number) == trial.number
        one.close()
        other.close()


def test_a_job_that_starts_in_an_outage_opens_the_study_from_the_file(
    durable: Server, opened: Opening, tmp_path: Path
) -> None:
    first = opened(durable.url)
    study = study_of(first)
    study.set_user_attr("note", 1)
    study.optimize(objective, n_trials=3)
    copied(first)
    first.close()
    durable.kill()
    with pytest.raises(ServerUnavailable, match="only be made while the server is there"):
        optuna.create_study(storage=opened(durable.url), study_name="another")
    with pytest.raises(ServerUnavailable, match="this host has no copy"):
        optuna.load_study(storage=opened(durable.url, "elsewhere"), study_name="s")
    late, later = opened(durable.url), opened(durable.url)
    study, twin = study_of(late), study_of(later)
    assert [frozen.study_name for frozen in late.get_all_studies()] == ["s"]
    assert len(study.trials) == 3
    running = study.ask()
    twin.optimize(objective, n_trials=3)
    with pytest.raises(ServerUnavailable, match="only be removed while the server is there"):
        optuna.delete_study(study_name="s", storage=late)
    before = study.trials
    durable.start()
    when_back(late, later)
    assert twin.trials == before
    study.tell(running, 1.0)
    assert len(on_server(durable.url, tmp_path / "elsewhere")) == 7
    assert twin.user_attrs == {"note": 1}


def test_what_dead_jobs_left_is_brought_by_the_next(durable: Server, opened: Opening, tmp_path: Path) -> None:
    first = opened(durable.url)
    study = study_of(first)
    study.optimize(objective, n_trials=3)
    copied(first)
    durable.kill()
    study.optimize(objective, n_trials=3)
    before = study.trials
    first.close()
    durable.start()
    second = opened(durable.url)
    assert study_of(second).trials == before
    when_back(second)
    assert on_server(durable.url, tmp_path / "elsewhere") == before


def test_an_empty_server_gets_the_study_from_the_file_of_a_host(
    durable: Server, opened: Opening, tmp_path: Path
) -> None:
    first = opened(durable.url)
    study = study_of(first)
    study.optimize(objective, n_trials=3)
    before = study.trials
    copied(first)
    first.close()
    durable.plain.flushall()
    with pytest.raises(KeyError):
        optuna.load_study(storage=opened(durable.url, "elsewhere"), study_name="s")
    assert study_of(opened(durable.url)).trials == before
    assert on_server(durable.url, tmp_path / "elsewhere") == before


def test_without_a_copy_the_study_says_what_is_gone(durable: Server, opened: Opening) -> None:
    first = opened(durable.url, keep_copy=False)
    study_of(first).optimize(objective, n_trials=3)
    first.close()
    durable.plain.flushall()
    for again in (lambda storage: optuna.load_study(study_name="s", storage=storage), study_of):
        with pytest.raises(DataLost, match="lost the study 's': of its trials, 3") as caught:
            again(opened(durable.url, keep_copy=False))
        assert caught.value.exit_code == 3


def test_a_study_that_was_removed_is_not_brought_back(
    durable: Server, opened: Opening, tmp_path: Path
) -> None:
    first, second = opened(durable.url), opened(durable.url, "other")
    study_of(first).optimize(objective, n_trials=1)
    study_of(second).optimize(objective, n_trials=1)
    copied(first)
    copied(second)
    optuna.delete_study(study_name="s", storage=first)
    assert not list((tmp_path / "host").glob("*.study"))
    with pytest.raises(KeyError):
        optuna.load_study(study_name="s", storage=opened(durable.url, "other"))
    assert study_of(first).trials == []
    assert TrialState.COMPLETE not in [trial.state for trial in study_of(opened(durable.url, "other")).trials]
