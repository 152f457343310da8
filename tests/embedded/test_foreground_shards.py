"""Shards in the foreground: one process that signals stop, and all servers with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from qwf_async.embedded import servers
from qwf_async.embedded.lifecycle import ensure as ensure_one
from qwf_async.embedded.servers import ensure, stop
from qwf_async.embedded.shards import settled_shards
from qwf_async.errors import Refused, ServerUnavailable
from tests.embedded.test_foreground import foreground
from tests.support.data_dirs import new_data_dir, plain, processes
from tests.support.waiting import wait_until


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield from new_data_dir(tmp_path)


async def served(data_dir: Path) -> servers.EmbeddedServers:
    """The three shards that the process in the foreground runs, each with a key that is not saved."""
    await run_sync(wait_until, lambda: len(processes(data_dir)) == 3)
    found = await ensure(data_dir)
    assert not found.started
    for shard in found.shards:
        with plain(shard) as client:
            client.set("k", "v")
    return found


async def kept(data_dir: Path) -> list[object]:
    values = []
    for shard in (await ensure(data_dir)).shards:
        with plain(shard) as client:
            values.append(client.get("k"))
    return values


@pytest.mark.anyio
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_all_shards_with_their_data_saved(
    data_dir: Path, number: int, code: int
) -> None:
    with foreground(data_dir, "--shards", "3") as job:
        await served(data_dir)
        job.send_signal(number)
        _, message = await run_sync(job.communicate)
        assert job.returncode == code
        assert "its data is saved" in message
        assert processes(data_dir) == []
    assert await kept(data_dir) == [b"v"] * 3


@pytest.mark.anyio
async def test_a_shard_that_dies_ends_the_others_with_their_data_saved(data_dir: Path) -> None:
    with foreground(data_dir, "--shards", "3") as job:
        found = await served(data_dir)
        os.kill(found.shards[1].pid, signal.SIGKILL)
        _, message = await run_sync(job.communicate)
        assert job.returncode == ServerUnavailable.exit_code
        assert f"the server of {data_dir}/shard-2 ended with status -9" in message
        assert processes(data_dir) == []
    assert await kept(data_dir) == [b"v", None, b"v"]


@pytest.mark.anyio
async def test_shards_in_the_foreground_are_stopped_like_any_others(data_dir: Path) -> None:
    with foreground(data_dir, "--shards", "3") as job:
        await served(data_dir)
        with foreground(data_dir) as second:
            _, message = await run_sync(second.communicate)
        assert second.returncode == Refused.exit_code
        assert "lives already" in message
        assert await stop(data_dir)
        await run_sync(job.communicate)
        assert job.returncode == 0


@pytest.mark.anyio
async def test_none_is_started_in_the_foreground_while_one_shard_lives(data_dir: Path) -> None:
    places = settled_shards(data_dir, 3)
    last = await ensure_one(places[2])
    with foreground(data_dir) as job:
        _, message = await run_sync(job.communicate)
    assert job.returncode == Refused.exit_code
    assert f"a server of {places[2]} lives already" in message
    assert processes(data_dir) == [last.pid]


@pytest.mark.anyio
async def test_a_shard_that_cannot_start_ends_those_that_did(data_dir: Path) -> None:
    places = settled_shards(data_dir, 3)
    places[1].mkdir()
    (places[1] / "qwf.rdb").write_bytes(b"no database")
    with foreground(data_dir) as job:
        _, message = await run_sync(job.communicate)
    assert job.returncode == ServerUnavailable.exit_code
    assert f"the server of {places[1]} ended with status 1" in message
    assert processes(data_dir) == []
