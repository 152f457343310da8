"""Estimates against what an ingest then takes on the same server, and what they leave behind.

An estimate does not depend on the event loop, so the tests run on one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

import qwf_async
from qwf_async import sources
from qwf_async.cli.app import app
from qwf_async.errors import OutOfMemory
from qwf_async.ingesting import estimation as module
from qwf_async.ingesting.estimation import estimate
from qwf_async.ingesting.sink import ServerSink
from qwf_async.lattice.grid import Box, Shape4
from qwf_async.layout import LAYOUTS
from qwf_async.wire.batch import Batch
from tests.conftest import PATIENCE, Server
from tests.support.loads import check_no_client_left, contents, wave
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio

WAYS = [("flat", "c16", 0.05), ("flat", "text10", 0.05), ("packed", "c16", 0.1), ("packed", "c8", 0.1),
        ("tile", "c16", 0.1), ("tile", "c8", 0.1)]  # fmt: skip


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


def used_memory(client: redis.Redis) -> int:
    """Bytes, without the buffers of clients, which come and go."""
    told = client.info("memory")
    return int(told["used_memory"]) - int(told["mem_clients_normal"])


def empty(client: redis.Redis) -> int:
    """Empty the server, and the memory that it then uses."""
    client.flushall()
    wait_until(lambda: not client.info("memory")["lazyfree_pending_objects"])
    return used_memory(client)


async def test_an_ingest_takes_what_was_estimated(
    each_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLE_POINTS", 20_000)
    psi = sources.array(wave(1, 48, 60, 70))
    async with qwf_async.connect(each_server.url) as store:
        found = {(one.layout, one.codec): one for one in await estimate(psi, store)}
    assert len(found) == 7
    assert contents(each_server) == {}
    for layout, codec, tolerance in WAYS:
        await check_no_client_left(each_server)  # the server counts the buffers of a client only now and then
        with each_server.plain as client:
            before = empty(client)
        async with qwf_async.connect(each_server.url) as store:
            await qwf_async.ingest(psi, store, "psi", layout=layout, codec=codec)
        await check_no_client_left(each_server)
        with each_server.plain as client:
            taken = used_memory(client) - before
        one = found[layout, codec]
        assert one.bytes == pytest.approx(taken, rel=tolerance), (layout, codec)
        assert one.peak_bytes >= one.bytes
        assert one.bytes_per_point == pytest.approx(one.bytes / psi.grid.points)
        assert one.seconds > 0


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_sample_is_removed_after_an_error_and_found_by_clean_after_a_crash(
    server: Server, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setattr(module, "LAYOUTS", {layout: LAYOUTS[layout]})
    monkeypatch.setattr(module, "MAX_REMOVAL_TIME", PATIENCE)
    samples: list[dict[bytes, bytes | None]] = []

    async def fail_in_the_middle(self: object, batch: Batch) -> None:
        await write(self, batch)
        with server.plain as client:
            samples.append({key: client.dump(key) for key in client.scan_iter()})
        raise OutOfMemory("no room")

    write: Any = ServerSink.write
    monkeypatch.setattr(ServerSink, "write", fail_in_the_middle)
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(OutOfMemory, match="no room"):
            await estimate(sources.array(wave(1, 20, 20, 20)), store)
        assert contents(server) == {}
        # What a process leaves that is killed at that moment.
        with server.plain as client:
            for key, dump in samples[0].items():
                client.restore(key, 0, dump)
        assert any(key.startswith(b"qwf:estimate.") for key in samples[0])
        assert (await store.clean()).generations == 1
        assert contents(server) == {}


async def test_it_says_whether_it_fits(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_POINTS", 30_000)
    psi = sources.array(wave(1, 64, 64, 64))
    async with qwf_async.connect(own_server.url) as store:
        with own_server.plain as client:
            client.config_set("maxmemory", used_memory(client) + 1_500_000)
            client.config_set("maxmemory-policy", "noeviction")
        with pytest.raises(OutOfMemory):
            await estimate(psi, store)
        assert contents(own_server) == {}
        with own_server.plain as client:
            client.config_set("maxmemory", 60_000_000)
        fits = {
            (one.layout, one.codec): one.fits
            for one in await estimate(sources.array(wave(4, 64, 64, 64)), store)
        }
        assert fits["tile", "c16"]
        assert fits["packed", "c8"]
        assert fits["flat", "c16"] is False


@pytest.mark.parametrize(("shape", "frames"), [((50, 16, 16, 16), 8), ((50, 32, 32, 32), 2)])
async def test_only_the_first_frames_are_read(
    server: Server, monkeypatch: pytest.MonkeyPatch, shape: Shape4, frames: int
) -> None:
    """The later frames of a time evolution would have to be computed, each from the one before it."""
    monkeypatch.setattr(module, "SAMPLE_POINTS", 20_000)
    psi = sources.array(wave(*shape))
    read: Any = type(psi).read
    last = []

    def noted(self: object, box: Box) -> Any:
        last.append(box.stop[0])
        return read(self, box)

    monkeypatch.setattr(type(psi), "read", noted)
    async with qwf_async.connect(server.url) as store:
        await estimate(psi, store)
    assert max(last) == frames


def test_the_command_prints_a_line_or_an_object_a_way(server: Server) -> None:
    arguments = ["estimate", "hydrogen:n=2,l=1,m=0", "--grid", "20", "-u", server.url]
    lines = CliRunner().invoke(app, arguments).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["flat", "c16"], ["flat", "c8"], ["flat", "text10"], ["packed", "c16"], ["packed", "c8"],
        ["tile", "c16"], ["tile", "c8"],
    ]  # fmt: skip
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert [one["bytes"] > 0 for one in found] == [True] * 7
    assert contents(server) == {}
