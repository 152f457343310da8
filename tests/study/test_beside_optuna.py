"""What stands before or beside the storage: Optuna's gRPC proxy, its dashboard, threads, pickles."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator

import optuna
import pytest
from optuna.storages import GrpcStorageProxy
from optuna.storages._grpc.server import make_server
from optuna.trial import TrialState

from qwf_async.study.storage import StudyStorage
from tests.conftest import Server, free_port


@pytest.fixture
def storage(own_server: Server) -> Iterator[StudyStorage]:
    storage = StudyStorage(own_server.url)
    yield storage
    storage.close()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_grpc_proxy_stands_before_it(storage: StudyStorage) -> None:
    with free_port() as port:
        server = make_server(storage, "localhost", port)
        server.start()
        proxy = GrpcStorageProxy(host="localhost", port=port)
        proxy.wait_server_ready(timeout=30)
        study = optuna.create_study(study_name="s", storage=proxy)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
        assert len(study.trials) == 5
        proxy.remove_session()
        proxy.close()
        server.stop(grace=None).wait()
    assert len(optuna.load_study(study_name="s", storage=storage).trials) == 5


def test_threads_share_a_storage(storage: StudyStorage) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=200, n_jobs=8)
    assert [trial.number for trial in study.trials] == list(range(200))
    assert all(trial.state is TrialState.COMPLETE for trial in study.trials)


def test_a_pickled_study_goes_on_elsewhere(storage: StudyStorage) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    study.optimize(lambda _: 1.0, n_trials=1)
    twin = pickle.loads(pickle.dumps(study))  # noqa: S301 # our own
    twin.optimize(lambda _: 0.5, n_trials=1)
    assert study.best_value == 0.5
    twin._storage.close()


def test_many_readers_see_what_was_written_before_they_asked(
    storage: StudyStorage, own_server: Server
) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    seen = []
    turn, done = threading.Barrier(2), threading.Barrier(2)

    def read() -> None:
        other = StudyStorage(own_server.url)
        for _ in range(20):
            turn.wait(30)
            seen.append(len(optuna.load_study(study_name="s", storage=other).trials))
            done.wait(30)
        other.close()

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        study.optimize(lambda _: 1.0, n_trials=1)
        turn.wait(30)
        done.wait(30)
    reader.join()
    assert seen == list(range(1, 21))
