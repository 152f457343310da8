"""The address that Prometheus scrapes, and the file that node exporter reads, of real commands and a real server."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from anyio import to_thread
from prometheus_client import parser

from qwf_async.errors import UsageError
from qwf_async.events import ServerSampled
from qwf_async.ingesting.ingestion import ingest
from qwf_async.metrics import Metrics
from qwf_async.metrics.serving import place_of, serving_metrics
from qwf_async.source import array
from qwf_async.store.connecting import connect
from tests.conftest import PATIENCE, Server
from tests.support.command import Shell
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def scraped(metrics: Metrics) -> AsyncIterator[str]:
    async with serving_metrics(metrics, "127.0.0.1:0") as address:
        yield address


def get(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    """Status and body of a request to the server at an address."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


async def got(address: str, path: str = "/metrics", **headers: str) -> tuple[int, bytes]:
    """As `get`, beside the server's loop."""
    return await to_thread.run_sync(partial(get, address, path, **headers))


async def test_an_ingest_is_scraped(server: Server) -> None:
    metrics = Metrics("psi")
    async with connect(server.url) as store, scraped(metrics) as address:
        metrics.add_store(store)
        ones = array(np.ones((32, 32, 4), complex))
        await ingest(ones, store, "psi", verify=True, hooks=[metrics])
        await (await store.open("psi")).read[0, :, :, 0]
        status, text = await got(address)
    assert status == 200
    values = {
        sample.name: sample.value
        for family in parser.text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert values["qwf_points_written_total"] == values["qwf_points_verified_total"] == 4096
    assert values["qwf_points_read_total"] == 1024
    assert values["qwf_bytes_read_total"] == 1024 * 16
    assert values["qwf_load_progress_ratio"] == 1
    assert values["qwf_batch_seconds_count"] >= 1
    assert values["qwf_connections_opened_total"] >= 1


async def test_health_tells_of_a_server_that_is_away() -> None:
    metrics = Metrics()
    async with scraped(metrics) as address:
        assert await got(address, "/health") == (200, b'{"status":"ok"}')
        metrics(ServerSampled(facts=(), away=("redis://b:6379",)))
        status, text = await got(address, "/health")
        assert (status, json.loads(text)["message"]) == (503, "away: redis://b:6379")
        status, text = await got(address)
        assert (status, b'qwf_server_up{server="redis://b:6379"} 0.0' in text) == (200, True)


async def test_a_foreign_host_is_refused() -> None:
    async with scraped(Metrics()) as address:
        assert (await got(address, Host="evil.example"))[0] == 403


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


def test_a_bad_place_and_a_port_in_use_begin_nothing(server: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options, said in (
            (["--listen", "9464"], "is no place to listen at"),
            (["--listen", f"127.0.0.1:{port}"], "the port is in use"),
            (["--metrics-file", "nowhere/x.prom"], "there is no such directory"),
        ):
            for command in (["ingest", "gaussian", "--grid", "8x1"], ["watch"]):
                ended = shell.qwf(*command, *options)
                assert (ended.status, len(ended.lines)) == (2, 1)
                assert said in ended.lines[0]
    assert not server.plain.keys("*")


def test_a_job_leaves_a_file_whether_it_succeeds_or_fails(server: Server, tmp_path: Path) -> None:
    shell, file = Shell.at(tmp_path, QWF_URL=server.url), tmp_path / "x.prom"
    command = [
        "ingest",
        "gaussian",
        "--grid",
        "64x1",
        "--name",
        "psi",
        "--quiet",
        "--metrics-file",
        str(file),
    ]
    assert shell.qwf(*command).status == 0
    text = file.read_text()
    assert "\nqwf_load_success 1.0\n" in text
    assert "\nqwf_points_written_total 64.0\n" in text
    assert file.stat().st_mode & 0o777 == 0o644
    assert shell.qwf(*command).status == 8
    assert "\nqwf_load_success 0.0\n" in file.read_text()
    assert [path.name for path in tmp_path.iterdir() if "prom" in path.name] == ["x.prom"]


def test_watch_is_scraped(server: Server, tmp_path: Path) -> None:
    with Shell.at(tmp_path, QWF_URL=server.url).begin("watch", "--listen", "127.0.0.1:0") as watching:
        address = watching.await_said("/metrics\n").partition("metrics at ")[2].split()[0]
        wait_until(lambda: b"qwf_server_memory_bytes{" in get(address, "/metrics")[1])
        assert get(address, "/health")[0] == 200
        watching.signal(signal.SIGTERM)
        assert watching.end().status == 0
