"""Studies in other storages of Optuna, which Optuna itself wrote, are read as it reads them, and nothing is written."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend

from qwf_async.errors import DamagedData, InvalidInput, UsageError
from qwf_async.study.foreign.source import source_of
from tests.conftest import Server
from tests.study.stock_studies import database, told, write_many_kinds

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def stock(server: Server) -> Iterator[JournalRedisBackend]:
    backend = JournalRedisBackend(server.url, prefix="old")
    yield backend
    backend._redis.close()


def test_a_redis_log_is_read_as_optuna_reads_it(server: Server, stock: JournalRedisBackend) -> None:
    study = write_many_kinds(JournalStorage(stock))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=100)  # Optuna writes its snapshot
    before = server.contents()
    assert b"old:snapshot" in before
    with server.plain as client:
        client.set("old:snapshot", pickle.dumps(_Bomb()))
    found = source_of(f"{server.url}#old").read()
    (read,) = found.studies
    assert found.notes == []
    assert (read.name, read.directions) == ("kinds", study.directions)
    assert repr(read.user_attrs) == repr(study.user_attrs)
    assert repr(read.system_attrs) == repr(study._storage.get_study_system_attrs(study._study_id))
    assert told(read.trials) == told(study.trials)
    with server.plain as client:
        client.set("old:snapshot", before[b"old:snapshot"])
    assert server.contents() == before


class _Bomb:
    """What fails the test when somebody unpickles it."""

    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("the snapshot was unpickled",)


def test_a_redis_log_without_a_prefix_and_of_a_cluster_is_read(server: Server) -> None:
    backend = JournalRedisBackend(server.url, use_cluster=True)
    study = write_many_kinds(JournalStorage(backend))
    assert told(source_of(server.url).read().studies[0].trials) == told(study.trials)
    backend._redis.close()


def test_a_hole_stops_with_its_number(server: Server, stock: JournalRedisBackend) -> None:
    write_many_kinds(JournalStorage(stock))
    with server.plain as client:
        client.delete("old:log:7")
        client.set("old:log:9", "{torn")
    source = source_of(f"{server.url}#old")
    with pytest.raises(DamagedData, match=r"entry 7 of \d+ of .*#old is missing .*skip_holes"):
        source.read()
    notes = source.read(skip_holes=True).notes
    assert [note.partition(" of ")[0] for note in notes] == ["entry 7", "entry 9"]
    assert "is missing" in notes[0]
    assert "is no entry" in notes[1]


def test_a_last_entry_that_is_torn_is_told(server: Server, stock: JournalRedisBackend) -> None:
    study = write_many_kinds(JournalStorage(stock))
    with server.plain as client:
        end = client.incr("old:log_number")
        client.set(f"old:log:{end}", '{"op_code": 4, "st')
    found = source_of(f"{server.url}#old").read()
    assert [f"entry {end} " in note for note in found.notes] == [True]
    assert told(found.studies[0].trials) == told(study.trials)


def test_what_is_no_log_is_said(server: Server) -> None:
    with pytest.raises(InvalidInput, match="no log of JournalRedisBackend under the prefix 'none'"):
        source_of(f"{server.url}#none").read()
    with server.plain as client:
        client.set("odd:log_number", "x")
        client.set("new:log_number", "0")
        client.set("new:log:0", '{"op_code":11}')
        client.set("bad:log_number", "0")
        client.set("bad:log:0", '{"op_code":5,"trial_id":[]}')
        client.hset("hash:log_number", "a", "b")
    with pytest.raises(DamagedData, match="holds no number: 'x'"):
        source_of(f"{server.url}#odd").read()
    with pytest.raises(DamagedData, match="operation 11 is of a newer Optuna"):
        source_of(f"{server.url}#new").read()
    with pytest.raises(DamagedData, match=r"entry 0 of .* is not as Optuna writes it"):
        source_of(f"{server.url}#bad").read()


def test_a_journal_file_is_read_as_optuna_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    storage = JournalStorage(JournalFileBackend(str(path)))
    deleted = optuna.create_study(storage=storage, study_name="deleted")
    deleted.optimize(lambda trial: 1.0, n_trials=2)
    optuna.delete_study(study_name="deleted", storage=storage)
    study = write_many_kinds(storage)
    other = optuna.create_study(storage=storage, study_name="two values", directions=["minimize", "maximize"])
    other.optimize(lambda trial: (trial.suggest_int("i", 0, 9), 1.0), n_trials=3)
    expected, told_other = told(study.trials), told(other.trials)
    with path.open(
        "ab"
    ) as file:  # what samplers need not keep is no less a trial; Optuna 4 knows no such entry
        file.write(b'{"op_code":10,"worker_id":"w","trial_ids":[3]}\n')
    before = path.read_bytes()
    first, second = source_of(str(path)).read().studies
    assert told(first.trials) == expected
    assert told(second.trials) == told_other
    assert second.directions == other.directions
    assert path.read_bytes() == before


def test_a_torn_last_line_is_told_and_another_stops(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    study = write_many_kinds(JournalStorage(JournalFileBackend(str(path))))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":5,"wor')
    found = source_of(str(path)).read()
    assert found.notes == [f"line {whole.count(b'%c' % 10) + 1} of {path} is torn and was left out"]
    assert told(found.studies[0].trials) == told(study.trials)
    lines = whole.splitlines(keepends=True)
    path.write_bytes(
        b"".join([*lines[:9], lines[9][:20], *lines[9:]])
    )  # the next worker's entry follows on the line
    with pytest.raises(DamagedData, match=r"line 10 of .* is torn .*skip_holes"):
        source_of(str(path)).read()
    found = source_of(str(path)).read(skip_holes=True)
    assert told(found.studies[0].trials) == told(study.trials)


def test_what_is_no_journal_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"hello\n", b"[1]\n", b"{}\n", b"\x80\x04}\n", b"{" * 100_000):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match="is no journal file of Optuna"):
            source_of(str(path)).read()
    path.write_bytes(b'{"op_code":' + b"[" * 100_000 + b"\n" + b'{"op_code":0}\n')
    with pytest.raises(DamagedData, match="line 1 of"):
        source_of(str(path)).read()
    with pytest.raises(InvalidInput, match="there is no file"):
        source_of(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="are not read from 'ftp'"):
        source_of("ftp://host/journal")


def test_a_database_is_read_as_optuna_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "some studies.db"
    with database(path) as storage:
        optuna.create_study(storage=storage, study_name="empty")
        study = write_many_kinds(storage)
        storage.record_heartbeat(study.trials[-2]._trial_id)
        before = path.read_bytes()
        for text in (f"sqlite:///{path}", str(path)):
            empty, read = source_of(text).read().studies
            assert (empty.name, empty.trials) == ("empty", [])
            assert (read.name, read.directions) == ("kinds", study.directions)
            assert repr(read.user_attrs) == repr(study.user_attrs)
            assert told(read.trials) == told(study.trials)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_database_of_another_version_is_left_as_it_is(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "studies.db"
    with database(path):
        pass
    for version, cure in (("v2.6.0.a", "optuna storage upgrade"), ("v9.0.0.a", "a newer Optuna wrote it")):
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        connection.close()
        before = path.read_bytes()
        with pytest.raises(InvalidInput, match=cure):
            source_of(str(path)).read()
        assert path.read_bytes() == before
    path.write_bytes(b"SQLite format 3\0" + b"x" * 4096)
    with pytest.raises(InvalidInput, match="cannot read"):
        source_of(str(path)).read()
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE studies (a)")
    connection.close()
    with pytest.raises(InvalidInput, match="no database of Optuna"):
        source_of(str(tmp_path / "other.db")).read()
    with pytest.raises(InvalidInput, match="there is no file"):
        source_of(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()
