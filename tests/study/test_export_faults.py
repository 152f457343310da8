"""An import meets lost replies, a server that is away, and a process that dies; what was imported is a study as any."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from qwf_async.errors import OutOfMemory, ServerUnavailable
from qwf_async.study.exchange import export_studies, import_studies
from qwf_async.study.new_study import NewStudy, new_studies, patient_server
from qwf_async.study.storage import StudyStorage
from qwf_async.study.whole_trial import record_of
from tests.conftest import Server
from tests.study.stock_studies import told
from tests.support.relay import relaying
from tests.support.waiting import wait_until

TRIALS = 60


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.setattr("qwf_async.study.new_study.BATCH_BYTES", 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An export of 60 trials."""
    study = optuna.create_study(study_name="s")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=TRIALS)
    export_studies(study._storage, None, tmp_path / "s.jsonl")
    return tmp_path / "s.jsonl"


@pytest.fixture
def storage(server: Server) -> Iterator[StudyStorage]:
    with closing(StudyStorage(server.url)) as storage:
        yield storage


def trials(server: Server) -> list[dict[str, str]]:
    """The trials as a process reads them that knows nothing yet."""
    with closing(StudyStorage(server.url)) as storage:
        return told(storage.get_all_trials(storage.get_study_id_from_name("s")), ids=False)


def test_lost_replies_double_nothing(server: Server, storage: StudyStorage, file: Path) -> None:
    import_studies(file, storage)
    expected = trials(server)
    assert len(expected) == TRIALS
    storage.delete_study(storage.get_study_id_from_name("s"))
    chance = random.Random(5)
    with relaying(server) as relay, closing(StudyStorage(relay.url)) as unlucky:
        relay.replies.cut_after((chance.randrange(12) for _ in range(10**6)), in_pieces=True)
        import_studies(file, unlucky)
        assert relay.cuts > 5
        relay.replies.cut_after([])
    assert trials(server) == expected


def test_what_is_written_vanishes_by_itself_until_it_is_a_study(
    server: Server, storage: StudyStorage
) -> None:
    trial = create_trial(state=TrialState.COMPLETE, value=1.0)
    with patient_server(storage) as ours:
        study = NewStudy(ours, "s", [StudyDirection.MINIMIZE])  # as of a process that is killed now
        study.add(study.next_id(), record_of(trial, 0))
        study.add(study.next_id(), record_of(trial, 1))
        with server.plain as client:
            assert [0 < client.ttl(key) <= 3600 for key in client.scan_iter()] == [True]
        assert storage.get_all_studies() == []
        with pytest.raises(TypeError), new_studies(ours) as new:  # noqa: PT012 # what is left there counts
            new.append(study)
            study.finish(goes_on=False)
            study.set_attributes({"no JSON": object()}, {})
    assert server.contents() == {}


def test_a_server_that_is_away_or_evicts_is_said(own_server: Server, file: Path) -> None:
    with closing(StudyStorage(own_server.url)) as storage:
        with own_server.plain as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("maxmemory", "100mb")
        with pytest.raises(OutOfMemory, match="evicts whole studies"):
            import_studies(file, storage)
        own_server.kill()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("qwf_async.study.new_study.PATIENCE", 0.1)
            with pytest.raises(ServerUnavailable):
                import_studies(file, storage)


def test_an_imported_study_is_compacted_as_any(
    server: Server, storage: StudyStorage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwf_async.study.live_study.AFTER", 20)
    import_studies(file, storage)
    study = optuna.load_study(study_name="s", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=TRIALS)
    with server.plain as client:
        (log,) = client.scan_iter("qwf:study:*:log")
        assert client.llen(log) < 50
        assert client.llen(log.replace(b":log", b":done")) > TRIALS
    assert trials(server) == told(study.trials, ids=False)
    assert [trial.number for trial in study.trials] == list(range(2 * TRIALS))


def test_an_imported_study_survives_its_server(own_server: Server, file: Path, tmp_path: Path) -> None:
    with closing(StudyStorage(own_server.url, directory=tmp_path / "host")) as storage:
        import_studies(file, storage)
        study = optuna.load_study(study_name="s", storage=storage)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
        (opened,) = storage.open_studies()
        wait_until(lambda: opened.file.copy.end()[0] == opened.known.position)
        own_server.kill()
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        expected = told(study.trials, ids=False)
        assert export_studies(storage, ["s"], tmp_path / "away.jsonl")[0].trials == TRIALS + 3
        own_server.start()  # empty
        wait_until(lambda: storage.standing.mode == "online")
        assert told(study.trials, ids=False) == expected
    assert trials(own_server) == expected
    assert len(expected) == TRIALS + 3
