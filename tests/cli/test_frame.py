"""What holds before and around every command: options that stand before it, errors as JSON, and the log."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Server
from tests.support.command import Outcome, Shell

STAMP = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) qwf_async\."
)


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Iterator[Shell]:
    """A shell where psi.npy is stored as psi on a server, which no variable names: {server} in a command is its URL."""
    np.save(tmp_path / "psi.npy", np.ones((1, 2, 3, 4), complex))
    shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "none"))
    assert shell.qwf("ingest", "psi.npy", "--quiet", "-u", server.url).status == 0
    yield shell
    assert not (tmp_path / "none").exists()


def asked(shell: Shell, server: Server, *lines: str) -> list[Outcome]:
    words = [line.replace("{server}", server.url).replace("{socket}", str(server.socket)) for line in lines]
    return shell.each(*(line.split() for line in words))


def test_options_before_a_command_are_as_behind_it_and_the_later_wins(shell: Shell, server: Server) -> None:
    outcomes = asked(
        shell,
        server,
        "-u {server} ls --json",
        "-u localhost:1 ls --json --url {server}",
        "-u localhost:1 -u {socket} get psi -1 0 0 --json",
        "--url={server} config show --json",
        "--config absent.toml ls",
        "--data-dir=elsewhere server status",
        "-u {server} server status",
    )
    assert [outcome.status for outcome in outcomes] == [0, 0, 0, 0, 2, 0, 2]
    assert json.loads(outcomes[0].out)[0]["name"] == json.loads(outcomes[1].out)[0]["name"] == "psi"
    assert json.loads(outcomes[2].out)[0]["re"] == 1.0
    assert json.loads(outcomes[3].out)["url"] == {"value": server.url, "from": "flag --url"}
    assert "settings file 'absent.toml'" in outcomes[4].err
    assert "elsewhere" in outcomes[5].out
    assert "No such option: --url" in outcomes[6].err


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("get psi 9 -u {server}", 7, "x = 9 is outside the grid"),
        ("ls -u localhost:port", 2, "the server URL must begin with redis://"),
        ("-u localhost:1 ls", 3, "connection refused"),
        ("get --nope", 2, "No such option: --nope"),
        ("get psi 0 --t soon", 2, "Invalid value for '--t'"),
        ("frobnicate", 2, "No such command 'frobnicate'."),
        ("export psi -u {server}", 2, "Missing argument 'out'"),
    ],
)
def test_with_json_an_error_is_a_line_of_json_too(
    shell: Shell, server: Server, line: str, code: int, message: str
) -> None:
    (failed,) = asked(shell, server, f"{line} --json")
    assert failed.status == code
    assert failed.err
    (written,) = failed.out.splitlines()
    error = json.loads(written)["error"]
    assert (error["code"], set(error)) == (code, {"code", "message"})
    assert message in error["message"]
    (without,) = asked(shell, server, line)
    assert (without.status, without.out) == (code, "")


def test_a_log_says_what_happens_with_times_and_without_passwords(shell: Shell, server: Server) -> None:
    grid = "ingest gaussian --grid 16 --quiet --overwrite"
    outcomes = asked(
        shell,
        server,
        f"--log-file log.txt -u {{server}} {grid}",
        f"{grid} --name other -u {{server}} -v",
        "get psi 9 --log-file log.txt -u {server}",
        "-vv ls -u redis://me:sesame@localhost:1 --log-file log.txt",
    )
    assert [outcome.status for outcome in outcomes] == [0, 0, 7, 3]
    log = (shell.directory / "log.txt").read_text().splitlines()
    assert all(map(STAMP.match, log))
    assert outcomes[0].err == ""
    told = "\n".join(log)
    for text in (
        f"connected to {server.url}",
        "4096 of 4096 points done",
        "x = 9 is outside",
        "me:***@localhost:1",
    ):
        assert text in told
    assert "sesame" not in told + outcomes[3].err
    assert any("4096 of 4096 points" in line for line in outcomes[1].lines)
    assert all(map(STAMP.match, outcomes[1].lines))


def test_a_log_that_cannot_be_written_is_refused_before_anything_is_done(
    shell: Shell, server: Server
) -> None:
    (refused,) = asked(shell, server, "rm psi -u {server} --log-file absent/log.txt")
    assert (refused.status, refused.lines) == (
        2,
        ["qwf: --log-file 'absent/log.txt' cannot be written: No such file or directory (exit 2)"],
    )
    assert asked(shell, server, "-u {server} get psi 0")[0].status == 0
    (before,) = asked(shell, server, "--log-file absent/log.txt ls -u {server}")
    assert (before.status, before.lines) == (refused.status, refused.lines)


def test_a_log_on_a_full_disk_stops_no_command_and_is_said_once(shell: Shell, server: Server) -> None:
    (listed,) = asked(shell, server, "ls --json -u {server} --log-file /dev/full")
    assert (listed.status, listed.lines) == (
        0,
        ["--log-file '/dev/full' lacks what happens from here on: No space left on device"],
    )
    assert json.loads(listed.out)[0]["name"] == "psi"


def test_where_nothing_is_stored_what_only_reads_starts_no_server(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "none"), XDG_RUNTIME_DIR=str(runtime))
    listed, as_json, *others = shell.each(
        ["ls"],
        ["ls", "--json"],
        ["get", "x", "1"],
        ["info", "x"],
        ["slice", "x", "0"],
        ["rm", "x"],
        ["cp", "x", "y"],
    )
    assert (listed.status, listed.out, as_json.status, json.loads(as_json.out)) == (0, "", 0, [])
    assert "nothing is stored yet" in listed.err
    assert "qwf ingest hydrogen" in listed.err
    for other in others:
        assert other.status == 7
        assert "there is no such wavefunction: nothing is stored yet" in other.err
    assert list(tmp_path.iterdir()) == [runtime]
    assert list(runtime.iterdir()) == []


def test_data_of_a_stopped_server_is_read_by_starting_it(tmp_path: Path) -> None:
    runtime = tempfile.mkdtemp(prefix="qwf-")
    shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "data"), XDG_RUNTIME_DIR=runtime)
    try:
        for arguments in (["ingest", "gaussian", "--grid", "8", "--quiet"], ["server", "stop", "--quiet"]):
            assert shell.qwf(*arguments).status == 0
        listed = shell.qwf("ls", "--json")
        assert [row["name"] for row in json.loads(listed.out)] == ["gaussian"]
        assert "started the embedded server" in listed.err
    finally:
        shell.qwf("server", "stop", "--quiet")
        shutil.rmtree(runtime)
