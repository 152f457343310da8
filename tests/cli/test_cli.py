"""The commands as a user runs them: what they print and where, and what is on the server afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import Server, new_server
from tests.support.command import ROOT, Shell, is_alive

NOWHERE = "redis://127.0.0.1:1"
ESCAPE = "\x1b["
REPORT = {
    "name", "generation", "layout", "codec", "shape", "points", "bytes_sent", "seconds", "points_per_s",
    "bytes_per_point", "retries", "spooled_chunks", "verified", "norm", "durability",
}  # fmt: skip
POINT = {"x", "y", "z", "t", "re", "im", "modulus", "density", "phase"}

Psi = NDArray[np.complex128]


@pytest.fixture(scope="module")
def psi() -> Psi:
    """ψ[t, x, y, z] of which no two values are the same."""
    rng = np.random.default_rng(7)
    return rng.standard_normal((2, 5, 4, 3)) + 1j * rng.standard_normal((2, 5, 4, 3))


@pytest.fixture(scope="module")
def stored(psi: Psi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, Server]]:
    """A shell where psi.npy is, and QWF_URL names a server that has it as psi. For tests that only read."""
    directory = tmp_path_factory.mktemp("stored")
    np.save(directory / "psi.npy", psi)
    for server in new_server("valkey", maxmemory="1gb"):
        shell = Shell.at(directory, QWF_URL=server.url)
        assert shell.qwf("ingest", "psi.npy", "--box", "10", "--dt", "0.1").status == 0
        yield shell, server


@pytest.fixture
def shell(psi: Psi, server: Server, tmp_path: Path) -> Shell:
    """A shell where psi.npy is, and QWF_URL names an empty server."""
    np.save(tmp_path / "psi.npy", psi)
    return Shell.at(tmp_path, QWF_URL=server.url)


def test_ingest_reports_every_figure_and_stores_every_value(shell: Shell, server: Server, psi: Psi) -> None:
    outcome = shell.qwf(
        "ingest", "psi.npy", "--name", "wave", "--box", "10x8x6", "--verify", "--json", "--quiet"
    )
    assert (outcome.status, outcome.err) == (0, "")
    report = json.loads(outcome.out)
    assert report.keys() >= REPORT
    assert re.fullmatch("[0-9a-f]{16}", report["generation"])
    assert (report["name"], report["layout"], report["codec"]) == ("wave", "flat", "c16")
    assert report["shape"] == [2, 5, 4, 3]
    assert report["points"] == 120
    assert report["bytes_sent"] > 120 * 16
    assert report["seconds"] > 0
    assert report["points_per_s"] == pytest.approx(120 / report["seconds"])
    assert 20 < report["bytes_per_point"] < 200
    assert (report["retries"], report["spooled_chunks"], report["verified"]) == (0, 0, True)
    assert report["norm"] == pytest.approx(float(np.sum(np.abs(psi) ** 2)) * 10 * 8 * 6 / 60 / 2)
    assert report["durability"] == "memory"
    with server.plain as client:
        values = client.hgetall(f"qwf:wave:{{{report['generation']}.0}}:s")
    assert values == {
        f"x{x}_y{y}_z{z}_t{t}".encode(): psi[t, x, y, z].tobytes() for t, x, y, z in np.ndindex(psi.shape)
    }


def test_any_client_finds_a_point_with_two_commands(stored: tuple[Shell, Server], psi: Psi) -> None:
    _, server = stored

    def cli(*command: str) -> bytes:
        asked = ["redis-cli", "-s", str(server.socket), "--raw", *command]
        return subprocess.run(asked, capture_output=True, check=True).stdout[:-1]

    generation = cli("HGET", "qwf:{psi}:meta", "generation").decode()
    assert cli("HGET", f"qwf:psi:{{{generation}.0}}:s", "x4_y2_z1_t1") == psi[1, 4, 2, 1].tobytes()


def test_get_prints_the_point_and_its_observables(stored: tuple[Shell, Server], psi: Psi) -> None:
    shell, _ = stored
    value = complex(psi[1, 4, 2, 1])
    get = ["get", "psi", "4", "2", "1"]
    found, terse, shown = shell.each(
        [*get, "--t", "1", "--json"], [*get, "-t", "1", "--quiet"], [*get, "-t", "1"]
    )
    assert (found.status, found.err) == (0, "")
    (point,) = json.loads(found.out)
    assert point.keys() == POINT
    assert (point["x"], point["y"], point["z"], point["t"]) == (4, 2, 1, 1)
    assert complex(point["re"], point["im"]) == value
    assert point["modulus"] == pytest.approx(abs(value), rel=1e-15)
    assert point["density"] == pytest.approx(abs(value) ** 2, rel=1e-15)
    assert point["phase"] == pytest.approx(np.angle(value), rel=1e-15)
    assert (terse.out, terse.err) == (f"{value.real!r},{value.imag!r}\n", "")
    assert shown.out.startswith(f"{value.real!r} {value.imag:+}i ")
    assert shown.err == ""


def test_list_and_info_say_what_is_stored(stored: tuple[Shell, Server]) -> None:
    shell, _ = stored
    listed, shown, told, also = shell.each(
        ["ls", "--json"], ["ls"], ["info", "psi", "--server", "--json"], ["info", "psi"]
    )
    assert (listed.status, listed.err) == (0, "")
    (row,) = json.loads(listed.out)
    assert (row["name"], row["shape"], row["points"]) == ("psi", [2, 5, 4, 3], 120)
    assert (row["layout"], row["codec"], row["note"]) == ("flat", "c16", None)
    heads, line = shown.out.splitlines()
    assert heads.split() == ["name", "shape", "layout", "codec", "≈", "memory", "age", "state"]
    assert re.fullmatch(r"psi   2×5×4×3  flat    c16    +[\d.]+ kB  +(just now|\d+ s)  published", line)
    assert (told.status, told.err) == (0, "")
    facts = json.loads(told.out)
    assert facts["generation"] == row["generation"]
    assert facts["first_key"] == f"qwf:psi:{{{row['generation']}.0}}:s"
    assert (facts["points"], facts["fields_of_first_key"], facts["keys"]) == (120, 120, 1)
    assert [axis["step"] for axis in facts["axes"]] == pytest.approx([0.1, 2.0, 2.5, 10 / 3])
    assert facts["server"]["software"] == "valkey"
    assert facts["server"]["limit"] == 2**30
    assert "first_key" in also.out


def test_server_is_named_by_flag_then_qwf_url_then_redis_url(stored: tuple[Shell, Server]) -> None:
    shell, server = stored
    ways = [
        (["--url", server.url], {"QWF_URL": NOWHERE, "REDIS_URL": NOWHERE}),
        ([], {"QWF_URL": server.url, "REDIS_URL": NOWHERE}),
        ([], {"QWF_URL": "", "REDIS_URL": server.url}),
    ]
    for outcome in shell.several([(["get", "psi", "0", *flag], variables) for flag, variables in ways]):
        assert (outcome.status, outcome.err) == (0, "")


def test_results_go_to_standard_output_and_messages_to_standard_error(shell: Shell, server: Server) -> None:
    text10 = ["ingest", "psi.npy", "--codec", "text10"]
    told, replaced, again = shell.each(
        ["ingest", "psi.npy"],
        [*text10, "--overwrite", "--quiet"],
        [*text10, "--resume", "--json", "--quiet"],
    )
    assert (told.status, told.out) == (0, "")
    assert "stored psi: 120 points (t,x,y,z = 2×5×4×3) as flat c16" in told.err
    assert "try: qwf plot psi" in told.err
    assert (replaced.status, replaced.out, replaced.err) == (0, "", "")
    assert (again.status, again.err) == (0, "")
    assert json.loads(again.out)["already"] is True
    with server.plain as client:
        client.hset("qwf:{psi}:scratch", mapping={str(n): "sample" for n in range(2500)})
        cleaned, nothing = shell.each(["clean", "--json"], ["clean"])
        assert (cleaned.status, cleaned.err) == (0, "")
        assert json.loads(cleaned.out) == {
            "scratch_fields": 2500, "generations": 0, "abandoned_loads": 0, "strange_entries": 0
        }  # fmt: skip
        assert nothing.lines == ["cleaned nothing"]
        assert client.hlen("qwf:{psi}:meta") > 0
        removed = shell.qwf("rm", "psi", "--json")
        assert (removed.status, removed.err) == (0, "")
        assert json.loads(removed.out) == {"removed": ["psi"]}
        assert client.keys() == []


def test_dry_run_needs_no_server_and_writes_nothing(shell: Shell, server: Server) -> None:
    planned = shell.having(QWF_URL=NOWHERE).qwf("ingest", "psi.npy", "--box", "10", "--dry-run", "--json")
    assert (planned.status, planned.err) == (0, "")
    plan = json.loads(planned.out)
    assert (plan["name"], plan["points"], plan["shape"], plan["chunks"]) == ("psi", 120, [2, 5, 4, 3], 1)
    assert plan["predicted_bytes"] > 120 * 16
    with server.plain as client:
        assert client.keys() == []


def test_config_and_conf_print_settings_with_their_reasons(shell: Shell) -> None:
    hidden = {"QWF_PASSWORD": "hidden"}
    outcome = shell.having(**hidden).qwf("config", "show", "--json")
    rows = json.loads(outcome.out)
    assert rows["url"] == {"value": shell.environment["QWF_URL"], "from": "environment QWF_URL"}
    assert rows["password"] == {"value": "***", "from": "environment QWF_PASSWORD"}
    assert rows["writers"] == {"value": 4, "from": "default"}
    configuration = shell.qwf("server", "conf", "--maxmemory", "3gb")
    assert configuration.status == 0
    assert re.search(r"^maxmemory 3(221225472|gb)$", configuration.out, re.MULTILINE)
    assert re.search("^maxmemory-policy noeviction$", configuration.out, re.MULTILINE)


def test_console_commands_and_the_module_are_the_same_program(tmp_path: Path) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts.keys() == {"qwf", "quantum-wavefunc"}
    shell = Shell.at(tmp_path)
    expected = shell.qwf("--version").out
    assert re.fullmatch(r"qwf \d+\.\d+\.\d+\n", expected)
    for target in set(scripts.values()):
        module, function = target.split(":")
        program = f"import sys; sys.argv = ['qwf', '--version']; from {module} import {function} as f; f()"
        assert shell.start([sys.executable, "-c", program]).end().out == expected


def test_embedded_server_is_started_shared_stopped_and_loads_what_it_saved(psi: Psi, tmp_path: Path) -> None:
    np.save(tmp_path / "psi.npy", psi)
    shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "data"))
    value = f"{psi[1, 4, 2, 1].real!r},{psi[1, 4, 2, 1].imag!r}".replace("np.float64(", "").replace(")", "")
    try:
        assert json.loads(shell.qwf("server", "status", "--json").out) == {"running": False}
        begun = shell.qwf("ingest", "psi.npy", "--json")
        assert begun.status == 0, begun.err
        assert begun.lines == [
            f"started the embedded server, data in {tmp_path}/data; 'qwf server stop' ends it"
        ]
        assert json.loads(begun.out)["durability"] == f"rdb (saved to {tmp_path}/data)"
        status = json.loads(shell.qwf("server", "status", "--json").out)
        assert status["running"] is True
        assert status["keys"] > 0
        assert shell.qwf("get", "psi", "4", "2", "1", "-t", "1", "-q").out.strip() == value
        stopped = shell.qwf("server", "stop", "--json")
        assert json.loads(stopped.out) == {"stopped": True}
        assert not is_alive(status["pid"])
        again = shell.qwf("get", "psi", "4", "2", "1", "-t", "1")
        assert again.status == 0, again.err
        assert len(again.lines) == 1  # that it was started
        assert "started the embedded server" in again.err
    finally:
        shell.qwf("server", "stop")
    assert json.loads(shell.qwf("server", "status", "--json").out) == {"running": False}


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 129)]
)
def test_watch_prints_a_line_a_second_until_a_signal(
    stored: tuple[Shell, Server], number: int, status: int
) -> None:
    shell, server = stored
    with shell.begin("watch", "--json") as watching:
        assert watching.process.stdout is not None
        first = json.loads(watching.process.stdout.readline())
        second = json.loads(watching.process.stdout.readline())
        watching.signal(number)
        outcome = watching.end()
    assert outcome.status == status
    said = f"stopped by {signal.Signals(number).name}; not watching any more"
    assert outcome.lines == [f"qwf: {said} (exit {status})" if status else said]
    assert first["servers"][0]["used"] > 0
    assert first["servers"][0]["limit"] == 2**30
    assert second["time"] - first["time"] > 0.9
    samples = [json.loads(line) for line in outcome.out.splitlines()]
    assert not status or samples.pop()["error"]["code"] == status
    assert all(sample["servers"][0]["software"] == "valkey" for sample in samples if "servers" in sample)
    with server.plain as client:
        assert len(client.client_list()) == 1


def test_progress_is_a_bar_on_a_terminal(shell: Shell) -> None:
    paced = ["ingest", "gaussian", "--grid", "64", "--max-rate", "150000"]
    status, shown = shell.on_terminal(*paced)
    assert status == 0
    assert ESCAPE in shown
    assert "━" in shown
    assert re.search(r"[\d.,]+( million)? points/s, [\d.]+ MB/s", shown)
    assert re.search(r"server [\d.]+ MB", shown)
    assert re.search(r"\d+%", shown)
    quiet_status, quiet = shell.on_terminal(*paced[:-2], "--overwrite", "--quiet")
    assert (quiet_status, quiet) == (0, "")


def test_progress_is_plain_lines_without_a_terminal(shell: Shell) -> None:
    outcome = shell.qwf("ingest", "gaussian", "--grid", "80", "--max-rate", "85000")
    assert outcome.status == 0
    assert ESCAPE not in outcome.err
    assert "\r" not in outcome.err
    assert re.search(
        r"^[\d,]+ of 512,000 points \(\d+ %\), [\d,]+ points/s, [\d.]+ MB/s, [\d.]+ s left, server memory [\d.]+ MB$",
        outcome.err,
        re.MULTILINE,
    )


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(stored: tuple[Shell, Server], variables: dict[str, str]) -> None:
    shell = stored[0].having(**variables)
    name = "-".join(variables)
    paced = ["ingest", "gaussian", "--grid", "48", "--name", name, "--max-rate", "200000"]
    for arguments in (["--help"], ["config", "show"], ["ls"], ["get", "psi", "0"], ["frobnicate"], paced):
        status, shown = shell.on_terminal(*arguments)
        assert status == (2 if arguments == ["frobnicate"] else 0)
        assert not re.search(r"\x1b\[[\d;]*[34]\d[\d;]*m", shown), arguments  # SGR 30–49: colours
        if "TERM" in variables:
            assert "\x1b" not in shown, arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"],
        ["info", "psi"],
        ["get", "psi", "0", "--json"],
        ["config", "show"],
        ["server", "conf"],
        [],
        ["watch", "--json"],
    ],
)
def test_reader_that_goes_away_is_no_crash(stored: tuple[Shell, Server], arguments: list[str]) -> None:
    shell, _ = stored
    asked = {"COMP_WORDS": "qwf get ", "COMP_CWORD": "2", "_QWF_COMPLETE": "complete_bash"}
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-c", "from qwf_async.cli import main; main()", *arguments],
        cwd=shell.directory,
        env=dict(shell.environment) | ({} if arguments else asked),
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode != 0


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_an_ingest_needs_no_standard_streams(stored: tuple[Shell, Server], redirection: str) -> None:
    shell, server = stored
    command = f'"{sys.executable}" -m qwf_async ingest psi.npy --name streams --overwrite {redirection}'
    outcome = shell.start(["/bin/sh", "-c", command]).end()
    assert outcome.status == 0
    with server.plain as client:
        assert client.exists("qwf:{streams}:meta") == 1
        assert client.exists("qwf:{streams}:load") == 0
    assert shell.qwf("rm", "streams").status == 0


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_output_that_cannot_be_written_is_no_crash(stored: tuple[Shell, Server], redirection: str) -> None:
    shell, _ = stored
    line = f'"{sys.executable}" -m qwf_async get psi 0 {redirection}'
    outcome = shell.start(["/bin/sh", "-c", line]).end()
    if redirection == ">/dev/full":
        assert outcome.status == 1
        assert outcome.lines == ["qwf: No space left on device (exit 1)"]
    else:
        assert (outcome.status, outcome.err) == (0, "")
