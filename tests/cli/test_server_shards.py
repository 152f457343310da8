"""`qwf server --shards`: several servers as one, started, looked at, stopped and deleted by commands."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell whose data directory is `data`, in which no server is left."""
    # Not under tmp_path, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="qwf-") as runtime:
        shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "data"), XDG_RUNTIME_DIR=runtime)
        try:
            yield shell
        finally:
            shell.qwf("server", "stop", "--purge", "--yes")


def test_a_user_starts_shards_looks_at_them_stops_and_deletes_them(shell: Shell) -> None:
    directory = shell.directory / "data"
    started, again, other, status = shell.each(
        ["server", "start", "--shards", "3", "--maxmemory", "96mb"],
        ["server", "start", "--json"],
        ["server", "start", "--shards", "2"],
        ["server", "status", "--json"],
    )
    assert started.status == again.status == status.status == 0
    assert (
        started.err
        == "embedded server in 3 shards, 3 of them started now; they stay until 'qwf server stop'\n"
    )
    facts = json.loads(again.out)
    assert facts["data_dir"] == str(directory)
    assert [shard["url"] for shard in facts["shards"]] == started.out.splitlines()
    assert [shard["started"] for shard in facts["shards"]] == [False] * 3
    assert other.status == 8
    assert other.err == (
        f"qwf: the data in {directory} lies on 3 shards, not on 2: leave --shards away, "
        "or load it anew into another --data-dir (exit 8)\n"
    )
    states = json.loads(status.out)
    assert states["running"]
    assert [shard["maxmemory"] for shard in states["shards"]] == [32 * 2**20] * 3
    assert [shard["url"] for shard in states["shards"]] == started.out.splitlines()
    stopped, purged, nothing = shell.each(
        ["server", "stop"], ["server", "stop", "--purge", "--yes"], ["server", "stop", "--purge", "--yes"]
    )
    assert stopped.err == "stopped; the data is saved\n"
    assert purged.err == f"all data of the server in {directory} is deleted\n"
    assert nothing.err == f"{directory} holds no data\n"
    assert not directory.exists()


def test_status_has_a_row_for_each_shard_also_for_those_that_are_down(shell: Shell) -> None:
    directory = shell.directory / "data"
    started = shell.qwf("server", "start", "--shards", "3", "--json")
    killed = json.loads(started.out)["shards"][1]
    os.kill(killed["pid"], signal.SIGKILL)
    rows, states, again = shell.each(
        ["server", "status"], ["server", "status", "--json"], ["server", "start"]
    )
    head, first, second, third, summary = rows.out.splitlines()
    assert head.split() == ["shard", "process", "keys", "memory", "used", "maxmemory", "url"]
    assert [row.split()[0] for row in (first, second, third)] == ["shard-1", "shard-2", "shard-3"]
    assert second.endswith("not running")
    assert summary == f"3 shards in {directory}: 1 not running; 'qwf server start' starts what does not run"
    facts = json.loads(states.out)
    assert not facts["running"]
    assert facts["shards"][1] == {"running": False, "data_dir": f"{directory}/shard-2"}
    assert "1 of them started now" in again.err
    assert shell.qwf("server", "status").out.splitlines()[-1] == f"3 shards in {directory}: all run"


@pytest.mark.parametrize("number", ["0", "-3", "257", "three", "1.5"])
def test_what_is_no_number_of_shards_is_a_usage_error(shell: Shell, number: str) -> None:
    outcome = shell.qwf("server", "start", "--shards", number)
    assert outcome.status == 2
    assert "--shards" in outcome.err
    assert not (shell.directory / "data").exists()
