"""The index of studies is true, whatever was cut short."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection

from qwf_async.errors import InvalidInput, OutOfMemory
from qwf_async.study import live_study
from qwf_async.study.keys import StudyKeys
from qwf_async.study.storage import StudyStorage
from tests.conftest import Server

MINIMIZE = [StudyDirection.MINIMIZE]


@pytest.fixture
def storage(own_server: Server) -> Iterator[StudyStorage]:
    storage = StudyStorage(own_server.url)
    yield storage
    storage.close()


def test_a_name_whose_study_is_gone_is_free(own_server: Server, storage: StudyStorage) -> None:
    study_id = storage.create_new_study(MINIMIZE, "s")
    own_server.plain.delete(*StudyKeys(prefix="qwf", study_id=study_id).stored)
    other = StudyStorage(own_server.url)
    with pytest.raises(KeyError):
        other.get_study_id_from_name("s")
    again = other.create_new_study(MINIMIZE, "s")
    other.close()
    assert storage.get_study_id_from_name("s") == again


def test_many_that_begin_the_same_study_begin_one(own_server: Server) -> None:
    def begin(_: int) -> int:
        storage = StudyStorage(own_server.url)
        study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True)
        study.optimize(lambda _: 1.0, n_trials=1)
        storage.close()
        return study._study_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(begin, range(16)))) == 1
    keys = [key for key in own_server.plain.keys("*") if key.endswith(b":log")]  # type: ignore[arg-type]
    assert len(keys) == 1


def test_studies_are_listed_without_their_trials_being_read(
    own_server: Server, storage: StudyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_study, "AFTER", 20)
    study = optuna.create_study(study_name="s", storage=storage, directions=["minimize", "maximize"])
    for number in range(30):
        study.set_user_attr("n", number)
        study.optimize(lambda _: (1.0, 2.0), n_trials=1)
    other = StudyStorage(own_server.url)
    (found,) = other.get_all_studies()
    assert (found.study_name, found.user_attrs, len(found.directions)) == ("s", {"n": 29}, 2)
    assert len(other.get_all_trials(found._study_id)) == 30
    other.close()


@pytest.mark.parametrize("name", ["a b", "{x}", "ä", "x" * 129, "a\n"])
def test_a_name_with_odd_characters_is_refused_and_nothing_is_written(
    own_server: Server, storage: StudyStorage, name: str
) -> None:
    with pytest.raises(InvalidInput, match="the name of a study"):
        storage.create_new_study(MINIMIZE, name)
    assert not own_server.plain.keys("*")


def test_a_study_that_exists_is_refused(storage: StudyStorage) -> None:
    storage.create_new_study(MINIMIZE, "s")
    with pytest.raises(DuplicatedStudyError, match="load it"):
        storage.create_new_study(MINIMIZE, "s")


def test_a_server_that_would_evict_a_study_is_refused(own_server: Server, storage: StudyStorage) -> None:
    own_server.plain.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(OutOfMemory, match="noeviction"):
        storage.create_new_study(MINIMIZE, "s")
    assert not own_server.plain.keys("*")
