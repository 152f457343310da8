"""What stands in the way of a study is said in one line, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwf_async.errors import DamagedData, QwfError, Refused
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


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (names_are_a_text, Refused, "WRONGTYPE"),
        (log_is_a_text, Refused, "WRONGTYPE"),
        (head_is_a_list, Refused, "WRONGTYPE"),
        (head_is_of_a_newer_release, DamagedData, "format '99'"),
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
    for command in ("info grid", "create grid", "ask grid", "tell grid 0 1", "trials grid", "rm grid --yes"):
        outcome = inside.qwf("study", *command.split())
        assert (outcome.status, outcome.out) == (error.exit_code, ""), (command, outcome)
        (line,) = outcome.lines
        assert said in line
    storage = StudyStorage(server.url)
    with pytest.raises(error, match=said):
        storage.get_all_trials(storage.get_study_id_from_name("grid"))
    storage.close()
    assert server.contents() == before
