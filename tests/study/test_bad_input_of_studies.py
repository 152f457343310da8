"""What stands in the way of a study is said in one line, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwf_async.errors import DamagedData, InvalidInput, QwfError, Refused
from qwf_async.study import StudyStorage, create_enhanced_study, get_enhanced_storage
from tests.conftest import Server
from tests.support.inside import Inside


@pytest.fixture
def inside(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    return Inside.at(tmp_path, monkeypatch, QWF_URL=server.url)


def key_of(plain: Any, ending: str) -> bytes:
    """The only key with this ending."""
    (key,) = [key for key in plain.scan_iter() if key.endswith(ending.encode())]
    return bytes(key)


def names_are_a_text(plain: Any) -> None:
    plain.delete("qwf:study:names")
    plain.set("qwf:study:names", "mine")


def log_is_a_text(plain: Any) -> None:
    key = key_of(plain, ":log")
    plain.delete(key)
    plain.set(key, "mine")


def head_is_a_list(plain: Any) -> None:
    key = key_of(plain, ":head")
    plain.delete(key)
    plain.rpush(key, "mine")


def head_is_of_a_newer_release(plain: Any) -> None:
    plain.hset(key_of(plain, ":head"), "format", 99)


def entry_is_none(plain: Any) -> None:
    plain.rpush(key_of(plain, ":log"), "mine")


def id_is_none(plain: Any) -> None:
    plain.hset("qwf:study:names", "grid", "mine")


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (names_are_a_text, Refused, "WRONGTYPE"),
        (log_is_a_text, Refused, "WRONGTYPE"),
        (head_is_a_list, Refused, "WRONGTYPE"),
        (head_is_of_a_newer_release, DamagedData, "format '99'"),
        (id_is_none, DamagedData, "has no id for 'grid', but 'mine'"),
        (entry_is_none, DamagedData, "entry 2 of the study 'grid' cannot be read: 'mine'"),
    ],
)
def test_what_is_no_study_of_ours_is_left_as_it_is(
    inside: Inside, server: Server, spoil: Callable[[Any], None], error: type[QwfError], said: str
) -> None:
    create_enhanced_study("grid", "maximize")
    get_enhanced_storage().close()
    with server.plain as plain:
        spoil(plain)
    before = server.contents()
    for command in ("info grid", "ask grid", "tell grid 0 1", "trials grid"):
        outcome = inside.qwf("study", *command.split())
        assert (outcome.status, outcome.out) == (error.exit_code, ""), (command, outcome)
        (line,) = outcome.lines
        assert said in line
    storage = StudyStorage(server.url)
    with pytest.raises(error, match=said):
        storage.get_all_trials(storage.get_study_id_from_name("grid"))
    storage.close()
    assert server.contents() == before


def test_a_trial_that_cannot_be_read_is_named(inside: Inside, server: Server) -> None:
    create_enhanced_study("grid")
    get_enhanced_storage().close()
    with server.plain as plain:
        log = key_of(plain, ":log")
        plain.rpush(log, '["C",4194305,1,1,"2026-11-27T03:00:00"]', '["P",4194305,1,2,["x"]]')
    outcome = inside.qwf("study", "trials", "grid")
    assert (outcome.status, outcome.out) == (DamagedData.exit_code, "")
    assert "an entry of trial 0 cannot be read" in outcome.lines[0]


def not_a_database(file: Path) -> None:
    file.write_bytes(b"mine")


def writable_by_others(file: Path) -> None:
    file.chmod(0o666)


def directory_of_everybody(file: Path) -> None:
    file.parent.chmod(0o777)


def of_another_study(file: Path) -> None:
    create_enhanced_study("another").set_user_attr("a", 1)
    get_enhanced_storage().close()
    (another,) = set(file.parent.glob("*.study")) - {file}
    another.replace(file)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (not_a_database, "file is not a database"),
        (writable_by_others, "can be written to by others, who may have changed it: move it away"),
        (directory_of_everybody, "can be written to by everybody"),
        (of_another_study, "another study"),
    ],
)
def test_a_file_of_this_host_that_may_not_be_trusted_is_not_used(
    inside: Inside, server: Server, spoil: Callable[[Path], None], said: str
) -> None:
    study = create_enhanced_study("grid")
    study.tell(study.ask(), 1.0)
    get_enhanced_storage().close()
    (file,) = (inside.directory / "xdg_data_home" / "qwf_async" / "spool").glob("*.study")
    spoil(file)
    before = server.contents(), file.read_bytes()
    outcome = inside.qwf("study", "ask", "grid")
    assert outcome.status in (InvalidInput.exit_code, DamagedData.exit_code), outcome
    (line,) = outcome.lines
    assert said in line
    assert (server.contents(), file.read_bytes()) == before
