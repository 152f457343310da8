"""`qwf tune` as a process: what it prints and writes, what it refuses, and how Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import qwf_async as qwf
from qwf_async.cli.app import app
from qwf_async.errors import QwfError
from qwf_async.tuning.scratch import remove_leftovers
from tests.conftest import PATIENCE, Server
from tests.support.command import Shell
from tests.support.loops import ON_ASYNCIO

TINY = ["tune", "gaussian:k=2,sigma=1", "--grid", "16x16x4"]


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    return Shell.at(tmp_path, QWF_URL=server.url)


def processes_of(pid: int) -> list[int]:
    """A process, and those that it has started, and those that they have started."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(word) for file in files for word in file.read_text().split()]
    return [pid, *(one for child in children for one in processes_of(child))]


def keys(server: Server) -> list[bytes]:
    """The keys on a server, but for those of studies."""
    with server.plain as client:
        return [key for key in client.scan_iter("*") if b":study:" not in key]


def test_a_run_prints_and_writes_what_it_found(shell: Shell, server: Server) -> None:
    bounds = ["--jobs", "1", "--trials", "2", "--time", "2m", "--max-p99", "60000"]
    done = shell.qwf(*TINY, *bounds, "-o", "qwf.toml", "--plot", "stages.svg", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    (stage,) = found["stages"]
    assert (found["jobs"], found["points"], stage["points"]) == (1, 1024, 1024)
    assert stage["confirmed"]
    assert stage["points_per_s"] > 0
    written = tomllib.loads((shell.directory / "qwf.toml").read_text("utf-8"))
    assert written == found["settings"]
    assert (written == {}) == (stage["defaults_are_fine"] or bool(found["flags"]))
    assert b"<svg" in (shell.directory / "stages.svg").read_bytes()
    assert sum("trial" in line for line in done.lines) == 2
    assert keys(server) == []


def test_ctrl_c_keeps_the_best_so_far(shell: Shell, server: Server) -> None:
    with shell.begin(*TINY, "--jobs", "2", "--trials", "1000", "-o", "qwf.toml") as begun:
        begun.await_said("trial 1")
        begun.signal(signal.SIGINT)
        ended = begun.end()
    assert ended.status == 130, ended.err
    assert "stopped by SIGINT; the trials so far are kept: run the same command with --resume" in ended.err
    assert ended.out.startswith("2 jobs at once: ")
    assert "more were not tried" in ended.out
    tomllib.loads((shell.directory / "qwf.toml").read_text("utf-8"))
    assert keys(server) == []
    with server.plain as client:
        assert client.info("clients")["connected_clients"] == 1


@pytest.mark.anyio
@ON_ASYNCIO
async def test_what_is_left_when_all_its_processes_are_killed_the_next_one_removes(
    shell: Shell, server: Server
) -> None:
    with shell.begin("tune", "gaussian:k=2,sigma=1", "--grid", "64", "--jobs", "1") as begun:
        begun.await_said("trial 0")
        end = time.monotonic() + PATIENCE
        while not any(key.endswith(b":load") for key in keys(server)):
            assert time.monotonic() < end
        for pid in reversed(processes_of(begun.process.pid)):
            os.kill(pid, signal.SIGKILL)
        begun.end()
    assert keys(server) != []
    async with qwf.connect(server.url) as store:
        (name,) = await remove_leftovers(store)
    assert name.startswith("tune-")
    assert keys(server) == []


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--jobs", "10,1"], 2, "--jobs '10,1' must be ascending numbers up to 1000, as in 1,10,30"),
        (["--jobs", "0"], 2, "--jobs '0' must be ascending"),
        (["--time", "soon"], 2, "--time 'soon' is no time: write 90s, 10m or 1h"),
        (["--layout", "cube"], 2, "--layout 'cube' must be keep, any, or one of flat, packed, tile"),
        (["-o", "there.toml"], 7, "there.toml is there already: --overwrite replaces it"),
        (["-o", "there.toml", "--resume"], 7, "there.toml is there already: --overwrite replaces it"),
        (["-o", "begun.toml"], 7, "begun.toml is there already: --overwrite replaces it"),
        (["-o", "begun.toml", "--resume"], 2, "tune is for sources that other processes can open"),
        (["-o", "nowhere/qwf.toml"], 7, "No such file or directory: nowhere"),
        (["--plot", "stages.gif"], 2, "stages.gif is written as its suffix says: .png or .svg"),
        (["--resume"], 2, "tune is for sources that other processes can open: files, states and functions"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], status: int, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.toml").write_text("")
    (tmp_path / "begun.toml").write_text("# qwf tune redis-hash:psi: 1 at once, 5 points/s of all\n")
    refused = CliRunner().invoke(app, ["tune", "redis-hash:psi", *words]).exception
    assert isinstance(refused, QwfError)
    assert refused.exit_code == status
    assert text in str(refused)


def test_without_optuna_it_is_said_what_to_install(shell: Shell) -> None:
    script = "import sys; sys.modules['optuna'] = None; from qwf_async.cli import main; main()"
    with shell.start([sys.executable, "-c", script, *TINY]) as begun:
        ended = begun.end()
    assert (ended.status, ended.out) == (2, "")
    assert ended.lines[-1].endswith(
        "needs optuna, which is not installed: pip install 'qwf_async[study]' (exit 2)"
    )
