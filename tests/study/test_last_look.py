"""A storage that is closed leaves a copy, also one of a moment: with it studies outlive their server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.support.data_dirs import new_data_dir, processes
from tests.support.inside import Inside


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield from new_data_dir(tmp_path)


def test_commands_go_on_while_the_server_is_away(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Inside.at(tmp_path, monkeypatch, QWF_URL=own_server.url)
    nothing = inside.qwf("study", "ls", "--url", "redis://localhost:1")
    assert (nothing.status, nothing.out) == (3, "")
    told = [
        inside.qwf("study", *words.split()).status for words in ("create grid", "ask grid", "tell grid 0 0.5")
    ]
    own_server.kill()
    told += [inside.qwf("study", *words.split()).status for words in ("ask grid", "tell grid 1 1.5")]
    assert told == [0] * 5


def test_studies_of_an_embedded_server_outlive_it_until_they_are_purged(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Inside.at(tmp_path, monkeypatch, QWF_DATA_DIR=str(data_dir))
    inside.qwf("study", "create", "grid")
    inside.qwf("study", "enqueue", "grid", "{}")
    for pid in processes(data_dir):
        os.kill(pid, signal.SIGKILL)
    listed = inside.qwf("study", "ls")
    assert (listed.status, listed.out.split()) == (0, ["grid", "minimize", "1", "-", "1", "WAITING"])
    assert inside.qwf("server", "stop", "--purge", "--yes").status == 0
    assert not any((data_dir / "spool").iterdir())
    listed = inside.qwf("study", "ls")
    assert (listed.status, listed.out) == (0, "")
