"""The calls of the guide: one storage a process and server, studies that are begun or gone on with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalRedisBackend
from optuna.study import StudyDirection

import qwf_async as qwf
from qwf_async.errors import InvalidInput, UsageError
from qwf_async.settings import Settings
from qwf_async.study import (
    NoSuchStudy,
    StudyStorage,
    create_enhanced_study,
    get_enhanced_storage,
    load_enhanced_study,
)
from tests.conftest import Server
from tests.support.inside import Inside


@pytest.fixture
def storage(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudyStorage]:
    """The storage of this process for the server that QWF_URL names, in a directory of its own."""
    Inside.at(tmp_path, monkeypatch, QWF_URL=server.url)
    storage = get_enhanced_storage()
    yield storage
    storage.close()


def test_a_process_has_one_storage_for_a_server(storage: StudyStorage, server: Server) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = {id(one) for one in threads.map(lambda _: get_enhanced_storage(), range(32))}
    assert found == {id(storage)}
    assert get_enhanced_storage(server.url) is storage
    assert get_enhanced_storage(settings=Settings(url=server.url)) is storage
    other = get_enhanced_storage(settings=Settings(url=server.url, prefix="other"))
    assert other is not storage
    other.close()


def test_in_a_child_the_storage_begins_anew(storage: StudyStorage) -> None:
    create_enhanced_study("grid").tell(create_enhanced_study("grid").ask(), 1.0)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            mine = get_enhanced_storage()
            study = load_enhanced_study("grid")
            study.tell(study.ask(), 2.0)
            status = 0 if mine is storage and mine.is_of_this_process else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    study = load_enhanced_study("grid")
    study.tell(study.ask(), 3.0)
    assert [trial.values for trial in study.trials] == [[1.0], [2.0], [3.0]]


@pytest.mark.usefixtures("storage")
def test_the_call_of_many_jobs_begins_a_study_or_goes_on_with_it() -> None:
    sampler, pruner = optuna.samplers.RandomSampler(), optuna.pruners.MedianPruner()
    first = create_enhanced_study("grid", "maximize", sampler, pruner)
    assert (first.sampler, first.pruner) == (sampler, pruner)
    first.tell(first.ask(), 1.0)
    for again in (
        create_enhanced_study("grid", "maximize"),
        create_enhanced_study("grid", StudyDirection.MAXIMIZE, load_if_exists=True),
        create_enhanced_study("grid", directions=["maximize"]),
        create_enhanced_study("grid"),
        load_enhanced_study("grid", sampler=sampler, pruner=pruner),
        qwf.study.load_enhanced_study("grid"),
    ):
        assert (again.best_value, again.direction) == (1.0, StudyDirection.MAXIMIZE)
    two = create_enhanced_study("two", directions=["minimize", "maximize"])
    assert [one.name for one in two.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert create_enhanced_study().study_name != create_enhanced_study().study_name


@pytest.mark.usefixtures("storage")
def test_a_study_that_is_another_is_refused_and_stays_as_it_is(server: Server) -> None:
    create_enhanced_study("grid", "maximize")
    before = server.contents()
    with pytest.raises(
        DuplicatedStudyError, match=r"'grid' is there .* is maximize, not minimize as asked for"
    ):
        create_enhanced_study("grid", "minimize")
    with pytest.raises(DuplicatedStudyError, match="is maximize, not maximize, minimize as asked for"):
        create_enhanced_study("grid", directions=["maximize", "minimize"])
    with pytest.raises(DuplicatedStudyError, match="'grid' is there already: load_if_exists=True takes it"):
        create_enhanced_study("grid", "maximize", load_if_exists=False)
    with pytest.raises(ValueError, match="give one of them"):
        create_enhanced_study("new", "maximize", directions=["maximize"])
    with pytest.raises(ValueError, match="minimize"):
        create_enhanced_study("new", "up")
    for odd in ("a:b", "", "ψ", "a" * 129, "a\n", "{1}"):
        with pytest.raises(InvalidInput, match=r"the name of a study .* may hold only"):
            create_enhanced_study(odd)
    assert server.contents() == before


@pytest.mark.usefixtures("storage")
def test_a_study_that_is_not_there_is_a_key_error_with_a_line() -> None:
    with pytest.raises(KeyError) as missing:
        load_enhanced_study("none\x1b")
    assert isinstance(missing.value, NoSuchStudy)
    assert isinstance(missing.value, InvalidInput)
    assert str(missing.value) == r"there is no study 'none\x1b'"


@pytest.mark.usefixtures("storage")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_who_looks_for_a_study_of_the_stock_storage_is_told_of_the_way(server: Server) -> None:
    stock = JournalStorage(JournalRedisBackend(server.url))
    optuna.create_study(study_name="old", storage=stock)
    with pytest.raises(NoSuchStudy) as missing:
        load_enhanced_study("old")
    assert str(missing.value) == (
        "there is no study 'old', but a study of this name is in a log of Optuna's JournalRedisBackend: "
        f"qwf_async.study.migrate('{server.url}#', storage, study='old') takes it over"
    )
    stock._backend._redis.close()  # type: ignore[attr-defined] # Optuna leaves it open


def test_a_redis_config_beside_the_scripts_names_the_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Inside.at(tmp_path, monkeypatch)
    beside = tmp_path / "redis_config.json"
    beside.write_text(json.dumps({"redis": {"url": server.url, "max_connections": 50}}))
    storage = get_enhanced_storage()
    create_enhanced_study("grid")
    assert json.loads(inside.qwf("study", "ls", "--json").out)[0]["name"] == "grid"
    assert get_enhanced_storage(server.url) is storage
    storage.close()
    beside.write_text('{"prot": 1}')
    with pytest.raises(UsageError, match=r"unknown key 'prot' \(file redis_config.json\)"):
        get_enhanced_storage()
    (tmp_path / "own.toml").write_text(f'url = "{server.url}"')
    monkeypatch.setenv("QWF_CONFIG", "own.toml")
    other = get_enhanced_storage()
    assert [study.study_name for study in other.get_all_studies()] == ["grid"]
    other.close()
