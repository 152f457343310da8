"""The address that Prometheus scrapes, of real commands and a real server, which may be away."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from qwf_async.errors import UsageError
from qwf_async.metrics.serving import place_of
from tests.conftest import PATIENCE, Server
from tests.support.command import Begun, Shell
from tests.support.waiting import wait_until

HELD = """
import pathlib, time
import numpy as np
def psi(t, x, y, z):
    while z.size == 10_000 and t.flat[0] >= 3 and not pathlib.Path("go-on").exists():
        time.sleep(0.01)
    return np.ones(np.broadcast_shapes(t.shape, x.shape, y.shape, z.shape), complex)
"""
GRID = ("--grid", "1x1x10000", "--frames", "6", "--dt", "1", "--box", "1x1x1", "--producers", "1")
"""Six chunks, a frame each; those of the last three are given once there is a file `go-on`."""


def get(address: str, path: str = "/metrics", **headers: str) -> tuple[int, str, bytes]:
    """Status, content type and body of a request to the server at an address."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read()
    finally:
        connection.close()


def values(address: str) -> dict[tuple[str, ...], float]:
    """Each value by the name of its sample and its labels' values."""
    status, _, text = get(address)
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in prometheus(text.decode())
        for sample in family.samples
    }


def names_of(text: str) -> set[str]:
    """The names of the families in a text of OpenMetrics."""
    parse: Any = openmetrics
    return {family.name for family in parse(text)}


@contextmanager
def scraped(shell: Shell, *command: str) -> Iterator[tuple[Begun, str]]:
    """A command that listens at any free port, and its address."""
    with shell.begin(*command, "--listen", "127.0.0.1:0") as begun:
        yield begun, begun.await_said("/metrics\n").partition("metrics at ")[2].split()[0]


def test_an_ingest_is_scraped_while_it_runs(server: Server, tmp_path: Path) -> None:
    (tmp_path / "held.py").write_text(HELD)
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    with scraped(shell, "ingest", "held:psi", *GRID, "--name", "run") as (begun, address):
        wait_until(lambda: values(address).get(("qwf_points_written_total",)) == 30_000)
        seen = values(address)
        assert seen["qwf_load_progress_ratio", "run"] == 0.5
        assert seen["qwf_load_points", "run"] == 60_000
        assert seen["qwf_batch_seconds_count",] == 3
        assert seen["qwf_bytes_written_total",] > 30_000 * 16
        assert seen["qwf_server_memory_bytes", server.url] > 0
        assert seen["qwf_gate_shut", server.url] == 0
        assert seen["qwf_connections_opened_total",] >= 1
        assert get(address, "/health")[::2] == (200, b'{"status":"ok"}')
        (tmp_path / "go-on").touch()
        assert begun.end().status == 0
        with pytest.raises(OSError, match="refused"):
            get(address)


def test_watch_is_scraped_also_while_its_server_is_away(own_server: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=own_server.url)
    up = ("qwf_server_up", own_server.url)
    with scraped(shell, "watch", "--interval", "0.1") as (begun, address):
        wait_until(lambda: values(address).get(up) == 1)
        assert ("qwf_server_commands_total", own_server.url) in values(address)
        assert get(address, "/health")[0] == 200
        asked = get(address, accept="application/openmetrics-text; version=1.0.0")
        assert asked[1].startswith("application/openmetrics-text; version=1.0.0")
        assert {"qwf_server_up", "qwf_batch_seconds"} <= names_of(asked[2].decode())
        own_server.kill()
        wait_until(lambda: values(address).get(up) == 0)
        status, _, body = get(address, "/health")
        assert (status, json.loads(body)["message"]) == (503, f"away: {own_server.url}")
        own_server.start()
        wait_until(lambda: values(address).get(up) == 1)
        assert get(address, "/health")[0] == 200
        assert get(address, Host="evil.example")[0] == 403
        assert get(address, Host=urlsplit(address).netloc.replace("127.0.0.1", "localhost"))[0] == 200
        assert get(address, "/other")[0] == 404
        begun.signal(signal.SIGTERM)
        assert begun.end().status == 0


def test_a_shut_gate_is_scraped(own_server: Server, tmp_path: Path) -> None:
    with own_server.plain as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 100_000)
    shell = Shell.at(tmp_path, QWF_URL=own_server.url)
    with scraped(shell, "watch") as (begun, address):
        wait_until(lambda: values(address).get(("qwf_gate_shut", own_server.url)) == 1)
        assert values(address)["qwf_gate_shut_seconds_total", own_server.url] > 0
        begun.signal(signal.SIGINT)
        assert begun.end().status == 130


@pytest.mark.parametrize(
    ("text", "place"),
    [("127.0.0.1:9464", ("127.0.0.1", 9464)), (":0", ("127.0.0.1", 0)), ("[::1]:80", ("::1", 80))],
)
def test_places(text: str, place: tuple[str, int]) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize("text", ["", "9464", "host", "host:", "host:port", "::1:80", "a b:1", "host:65536"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(UsageError, match="is no place to listen at"):
        place_of(text)


def test_what_cannot_be_used_is_one_line_and_nothing_is_begun(tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "data"), XDG_RUNTIME_DIR=str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options, said in (
            (["--listen", "9464"], "write --listen 127.0.0.1:9464"),
            (["--listen", f"127.0.0.1:{port}"], "the port is in use"),
            (["--listen", "192.0.2.1:0"], "cannot listen at 192.0.2.1"),
            (["--metrics-file", "nowhere/x.prom"], "there is no directory nowhere"),
            (["--metrics-file", "."], "it is a directory"),
        ):
            for command in (["ingest", "gaussian", "--grid", "8x1"], ["watch"]):
                ended = shell.qwf(*command, *options)
                assert (ended.status, len(ended.lines)) == (2, 1)
                assert said in ended.lines[0]
    once = shell.qwf("watch", "--once", "--listen", ":0")
    assert (once.status, len(once.lines)) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_without_uvicorn_it_is_said_what_to_install(tmp_path: Path) -> None:
    script = "import sys; sys.modules['uvicorn'] = None; from qwf_async.cli import main; main()"
    with Shell.at(tmp_path).start([sys.executable, "-c", script, "watch", "--listen", ":0"]) as begun:
        refused = begun.end()
    assert (refused.status, refused.out, len(refused.lines)) == (2, "", 1)
    assert "needs uvicorn, which is not installed: pip install 'qwf_async[metrics]'" in refused.err
