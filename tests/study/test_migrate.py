"""Studies of Optuna's other storages are taken over with all that they hold, and go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import NSGAIISampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend
from optuna.trial import TrialState

from qwf_async.errors import DamagedData, InvalidInput, Refused, UsageError
from qwf_async.study.foreign.source import has_foreign_study
from qwf_async.study.link import Server as StudyServer
from qwf_async.study.migration import MIGRATED_FROM, WAS_RUNNING, MigratedStudy, migrate, new_name
from qwf_async.study.new_study import NewStudy, patient_server
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server
from tests.study.stock_studies import database, told, write_many_kinds

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture
def storage(server: Server) -> Iterator[StudyStorage]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = StudyStorage(server.url)
    yield storage
    storage.close()


@pytest.fixture(params=["redis", "file", "sqlite"])
def stock(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> Iterator[tuple[str, BaseStorage]]:
    """What names a storage of Optuna's own, and the storage."""
    path = tmp_path / "stock"
    if request.param == "redis":
        backend = JournalRedisBackend(server.url, prefix="old")
        yield f"{server.url}#old", JournalStorage(backend)
        backend._redis.close()
    elif request.param == "file":
        yield str(path), JournalStorage(JournalFileBackend(str(path)))
    else:
        with database(path) as storage:
            yield f"sqlite:///{path}", storage


def told_without(trials: list[optuna.trial.FrozenTrial], *states: TrialState) -> list[dict[str, str]]:
    return [one for one in told(trials, ids=False) if one["state"] not in map(repr, states)]


def test_a_study_is_taken_over_and_goes_on(stock: tuple[str, BaseStorage], storage: StudyStorage) -> None:
    text, old = stock
    study = write_many_kinds(old)
    ran = sum(trial.state is TrialState.RUNNING for trial in study.trials)
    (planned,) = migrate(text, storage, dry_run=True).studies
    assert storage.get_all_studies() == []
    migration = migrate(text, storage)
    assert migration.studies == [planned]
    assert planned == MigratedStudy(name="kinds", old_name="kinds", trials=len(study.trials), failed=ran)
    assert migration.notes == []
    new = optuna.load_study(study_name="kinds", storage=storage)
    assert new.directions == study.directions
    assert repr(new.user_attrs) == repr(study.user_attrs)
    assert new.metric_names == study.metric_names
    assert new.best_trial.number == study.best_trial.number
    left_alone = (TrialState.RUNNING, TrialState.FAIL)
    assert told_without(new.trials, *left_alone) == told_without(study.trials, *left_alone)
    ghosts = [trial for trial in new.trials if WAS_RUNNING in trial.system_attrs]
    assert [trial.number for trial in ghosts] == [
        trial.number for trial in study.trials if trial.state is TrialState.RUNNING
    ]
    assert {trial.state for trial in ghosts} == {TrialState.FAIL}
    (again,) = migrate(text, storage).studies
    assert again.was_there
    new.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    assert [trial.number for trial in new.trials] == list(range(len(study.trials) + 2))  # one was queued


def test_genetic_samplers_find_the_parents_that_they_had(
    stock: tuple[str, BaseStorage], storage: StudyStorage
) -> None:
    text, old = stock
    optuna.create_study(storage=old, study_name="before").optimize(
        lambda trial: 1.0, n_trials=3
    )  # ids begin at 3

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return x + y, (x - 1) ** 2

    def parents(study: optuna.Study, generation: int) -> list[int]:
        return [trial.number for trial in sampler.get_parent_population(study, generation)]

    sampler = NSGAIISampler(population_size=6, seed=1)
    study = optuna.create_study(
        storage=old, study_name="genetic", directions=["minimize", "minimize"], sampler=sampler
    )
    study.optimize(objective, n_trials=20)
    migrate(text, storage, study="genetic")
    new = optuna.load_study(
        study_name="genetic", storage=storage, sampler=NSGAIISampler(population_size=6, seed=1)
    )
    for generation in (1, 2, 3):
        assert parents(new, generation) == parents(study, generation)
        assert len(parents(new, generation)) == 6
    new.optimize(objective, n_trials=12)
    assert len(parents(new, 4)) == 6
    generations = [trial.system_attrs["NSGAIISampler:generation"] for trial in new.trials]
    assert generations == [number // 6 for number in range(32)]


def test_trials_that_run_may_be_kept(server: Server, storage: StudyStorage, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    old = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))), study_name="s")
    old.ask().suggest_float("x", 0, 1)
    (migrated,) = migrate(str(path), storage, keep_running=True).studies
    assert migrated.failed == 0
    study = optuna.load_study(study_name="s", storage=storage)
    assert storage._get_stale_trial_ids(study._study_id) == []
    study.tell(0, 5.0)
    assert study.best_value == 5.0


def test_names_that_may_not_stand_here(storage: StudyStorage, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    stock = JournalStorage(JournalFileBackend(str(path)))
    for name in ("grid/1 ψ", "grid_1__", "x" * 200):
        optuna.create_study(storage=stock, study_name=name)
    names = [one.name for one in migrate(str(path), storage).studies]
    assert names == ["grid_1__-c2c9db9e", "grid_1__", "x" * 119 + "-" + new_name("x" * 200)[-8:]]
    assert all(one.was_there for one in migrate(str(path), storage).studies)
    migrate(str(path), storage, study="grid/1 ψ", rename="grid-1")
    system = storage.get_study_system_attrs(storage.get_study_id_from_name("grid-1"))
    assert system[MIGRATED_FROM] == {"source": str(path), "study": "grid/1 ψ"}
    with pytest.raises(UsageError, match="rename is for one study: name it by study"):
        migrate(str(path), storage, rename="one")
    with pytest.raises(
        InvalidInput, match=r"there is no study 'none' in .*journal, but 'grid/1 ψ', 'grid_1__'"
    ):
        migrate(str(path), storage, study="none")


def test_another_study_of_the_name_is_left_alone(
    server: Server, storage: StudyStorage, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    stock = JournalStorage(JournalFileBackend(str(path)))
    for name in ("a", "b"):
        optuna.create_study(storage=stock, study_name=name).optimize(lambda trial: 1.0, n_trials=2)
    copy = shutil.copy(path, tmp_path / "copy")
    migrate(str(path), storage, study="b")
    before = server.contents()
    with pytest.raises(Refused, match=r"there is a study 'b' at .* already"):
        migrate(copy, storage)
    assert server.contents() == before


def test_what_differs_afterwards_is_not_taken_over(
    server: Server, storage: StudyStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    stock = JournalStorage(JournalFileBackend(str(path)))
    optuna.create_study(storage=stock, study_name="a").optimize(lambda trial: trial.number + 1.0, n_trials=3)
    before = server.contents()
    plain: Callable[..., None] = NewStudy.add

    def less(self: NewStudy, trial_id: int, record: Any) -> None:
        plain(self, trial_id, (*record[:2], [record[2][0] - 1e-9], *record[3:]))

    monkeypatch.setattr(NewStudy, "add", less)
    with pytest.raises(
        DamagedData, match="'a' was not taken over, because it differs afterwards: trial 0 is"
    ):
        migrate(str(path), storage)
    assert server.contents() == before


@contextmanager
def log(server: Server, prefix: str, name: str) -> Iterator[None]:
    backend = JournalRedisBackend(server.url, prefix=prefix)
    optuna.create_study(storage=JournalStorage(backend), study_name=name)
    yield
    backend._redis.close()


def test_a_study_of_a_stock_log_under_the_same_url_is_found(server: Server, storage: StudyStorage) -> None:
    with server.plain as client:
        client.set("hash:log_number", "x")
        client.hset("qwf:log_number", "a", "b")
    with patient_server(storage) as ours:
        assert has_foreign_study(ours, "grid") is None
        _see_logs(server, ours)


def _see_logs(server: Server, ours: StudyServer) -> None:
    with log(server, "", "bare"), log(server, "my runs", "grid"):
        assert f"qwf_async.study.migrate('{server.url}#', storage" in (has_foreign_study(ours, "bare") or "")
        said = has_foreign_study(ours, "grid")
        assert said == (
            "a study of this name is in a log of Optuna's JournalRedisBackend: "
            f"qwf_async.study.migrate('{server.url}#my runs', storage, study='grid') takes it over"
        )
        assert has_foreign_study(ours, "other") is None
