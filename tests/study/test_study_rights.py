"""Studies with exactly the rights that `qwf server acl` prints, and with one too few."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from qwf_async.errors import Refused
from qwf_async.server.acl import STUDY_READING, STUDY_WRITING, reader, writer
from qwf_async.settings import Settings
from qwf_async.study import live_study
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server
from tests.support.loads import ask

PASSWORD = "s:e@c/r%e#t ψ"
TRIALS = 4


def storage_of(server: Server, user: str, directory: Path | None = None) -> StudyStorage:
    url = f"unix://{user}@{server.socket}"
    return StudyStorage(url, settings=Settings(password=PASSWORD), directory=directory)


def give_user(server: Server, name: str, *less: str) -> None:
    rules = {"qwf": writer("qwf"), "qwf-reader": reader("qwf")}[name]
    ask(server, "ACL", "SETUSER", name, *rules, f">{PASSWORD}", *less)


def denials(server: Server) -> set[str]:
    """The commands that the server denied since it was asked last."""
    log = ask(server, "ACL", "LOG")
    ask(server, "ACL", "LOG", "RESET")
    return {dict(zip(entry[::2], entry[1::2], strict=True))[b"object"].decode() for entry in log}


def use(storage: StudyStorage) -> None:
    """Whatever a job does, with a compaction."""
    study = optuna.create_study(storage=storage, study_name="psi")
    study.set_user_attr("grid", 64)
    study.enqueue_trial({"x": 0.5})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=TRIALS)
    assert [len(study.trials), study.best_trial.number] == [TRIALS, study.best_trial.number]


def live(job: StudyStorage, other: StudyStorage) -> None:
    """The whole life of a study."""
    use(job)
    read(other)
    optuna.delete_study(storage=job, study_name="psi")


def read(storage: StudyStorage) -> None:
    """Whatever a reader does, from the beginning of the log."""
    study = optuna.load_study(storage=storage, study_name="psi")
    assert (len(study.trials), study.user_attrs) == (TRIALS, {"grid": 64})
    assert [one.study_name for one in storage.get_all_studies()] == ["psi"]


@pytest.fixture(autouse=True)
def _compacts_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.setattr(live_study, "AFTER", 10)


def test_a_job_and_a_reader_have_all_rights_that_they_need(each_own_server: Server) -> None:
    for user in ("qwf", "qwf-reader"):
        give_user(each_own_server, user)
    ask(each_own_server, "ACL", "LOG", "RESET")
    job, other, watcher = (storage_of(each_own_server, user) for user in ("qwf", "qwf", "qwf-reader"))
    use(job)
    assert ask(each_own_server, "EXISTS", *(key for key in ask(each_own_server, "KEYS", "*:done"))) == 1
    read(other)
    read(watcher)
    with pytest.raises(Refused, match="lacks a permission"):
        optuna.load_study(storage=watcher, study_name="psi").set_user_attr("grid", 65)
    denials(each_own_server)
    read(watcher)
    optuna.delete_study(storage=job, study_name="psi")
    assert denials(each_own_server) == set()
    assert [key for key in ask(each_own_server, "KEYS", "*") if not key.endswith(b":gone")] == []
    for storage in (job, other, watcher):
        storage.close()


def test_no_right_for_studies_is_one_too_many(own_server: Server, tmp_path: Path) -> None:
    for command in (*STUDY_READING, *STUDY_WRITING):
        ask(own_server, "FLUSHALL")
        ask(own_server, "ACL", "DELUSER", "qwf")
        give_user(own_server, "qwf", f"-{command}")
        ask(own_server, "ACL", "LOG", "RESET")
        # Another directory each time: a server that was emptied would get its studies back.
        job, other = (storage_of(own_server, "qwf", tmp_path / command) for _ in range(2))
        if command == "ltrim":  # the log stays long, and nobody is stopped
            live(job, other)
        else:
            with pytest.raises(Refused, match="permission"):
                live(job, other)
        assert command in denials(own_server)
        job.close()
        other.close()
