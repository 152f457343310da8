"""`qwf bench` on real servers: what it prints, and that it leaves nothing behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.support.command import Shell


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    return Shell.at(tmp_path, QWF_URL=server.url)


def keys(server: Server) -> list[bytes]:
    with server.plain as client:
        return list(client.scan_iter("*"))


def test_each_layout_stands_beside_a_plain_pipeline(shell: Shell, server: Server) -> None:
    done = shell.qwf("bench", "--time", "1", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    roads = [(row["layout"], row["road"]) for row in found["rows"]]
    assert roads[:2] == [("plain", "write"), ("plain", "read")]
    assert set(roads[2:]) == {(x, y) for x in ("flat", "packed", "tile") for y in ("write", "read", "points")}
    assert all(row["rate"] > 0 and row["limit"] for row in found["rows"])
    assert all((row["ratio"] is None) == (row["layout"] == "plain") for row in found["rows"])
    assert found["single_point_seconds"] > 0
    assert found["spool_points_per_s"] > 0
    assert keys(server) == []
    assert list(shell.directory.rglob("*.spool")) == []


def test_ctrl_c_leaves_nothing(shell: Shell, server: Server) -> None:
    with shell.begin("bench") as begun:
        begun.await_said("round 1: flat")
        begun.signal(signal.SIGINT)
        ended = begun.end()
    assert ended.status == 130, ended.err
    assert "nothing is left on the server" in ended.err
    assert keys(server) == []


def test_a_server_without_room_is_not_measured(own_server: Server, tmp_path: Path) -> None:
    with own_server.plain as client:
        client.config_set("maxmemory", "3mb")
    done = Shell.at(tmp_path, QWF_URL=own_server.url).qwf("bench")
    assert done.status == 4
    assert "remove something first" in done.lines[-1]


def test_another_layout_is_named(shell: Shell) -> None:
    done = shell.qwf("bench", "--layout", "cube")
    assert done.status == 2
    assert "'cube'" in done.lines[-1]
