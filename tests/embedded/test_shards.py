"""An embedded server in shards: started, shared, found again after a kill, and removed together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from qwf_async.embedded.lifecycle import ensure as ensure_one
from qwf_async.embedded.servers import EmbeddedServers, ensure, purge, status, stop
from qwf_async.embedded.shards import settled_shards, shards_of
from qwf_async.errors import InvalidInput, Refused, ServerUnavailable, UsageError
from tests.support.data_dirs import new_data_dir, plain, processes

MAXMEMORY = 96 * 2**20


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield from new_data_dir(tmp_path)


def write_on_each(servers: EmbeddedServers, *, save: bool) -> None:
    for number, shard in enumerate(servers.shards):
        with plain(shard) as client:
            client.set("number", number)
            if save:
                client.save()


def read_of_each(servers: EmbeddedServers) -> list[object]:
    values = []
    for shard in servers.shards:
        with plain(shard) as client:
            values.append(client.get("number"))
    return values


def environment_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


@pytest.mark.anyio
async def test_shards_are_started_once_shared_and_stopped_with_their_data_saved(data_dir: Path) -> None:
    first = await ensure(data_dir, shards=3, maxmemory=MAXMEMORY)
    again = await ensure(data_dir)
    assert (first.started, again.started) == (True, False)
    assert [shard.pid for shard in first.shards] == [shard.pid for shard in again.shards]
    assert sorted(shard.pid for shard in first.shards) == sorted(processes(data_dir))
    assert len({shard.socket for shard in first.shards}) == 3
    assert [shard.data_dir for shard in first.shards] == [
        data_dir / f"shard-{number}" for number in (1, 2, 3)
    ]
    for shard in first.shards:
        assert "GLIBC_TUNABLES=glibc.malloc.tcache_count=256" in environment_of(shard.pid)
        with plain(shard) as client:
            assert client.config_get("rdbcompression") == {"rdbcompression": "no"}
    write_on_each(first, save=False)
    states = await status(data_dir)
    assert [place.name for place in states] == ["shard-1", "shard-2", "shard-3"]
    assert [state and (state.maxmemory, state.keys) for state in states.values()] == [(MAXMEMORY // 3, 1)] * 3
    assert await stop(data_dir)
    assert not await stop(data_dir)
    assert processes(data_dir) == []
    assert list((await status(data_dir)).values()) == [None] * 3
    assert read_of_each(await ensure(data_dir)) == [b"0", b"1", b"2"]


@pytest.mark.anyio
async def test_another_number_of_shards_is_refused_and_the_same_is_not(data_dir: Path) -> None:
    await ensure(data_dir, shards=2)
    await ensure(data_dir, shards=2)
    for number in (1, 3):
        with pytest.raises(
            Refused, match=f"lies on 2 shards, not on {number}: leave shards away, or load it anew"
        ):
            await ensure(data_dir, shards=number)
    assert len(processes(data_dir)) == 2


@pytest.mark.anyio
async def test_a_data_directory_of_one_server_counts_as_one_shard(data_dir: Path) -> None:
    await ensure_one(data_dir)  # what was there before there were shards
    files = sorted(os.listdir(data_dir))
    assert "qwf.shards" not in files
    found = await ensure(data_dir)
    assert not found.started
    assert [shard.data_dir for shard in found.shards] == [data_dir]
    with pytest.raises(Refused, match="lies on 1 shard, not on 3"):
        await ensure(data_dir, shards=3)
    assert sorted(os.listdir(data_dir)) == files


@pytest.mark.parametrize("number", [0, -1, 257])
def test_what_is_no_number_of_shards_leaves_nothing(data_dir: Path, number: int) -> None:
    with pytest.raises(UsageError, match="a number from 1 to 256"):
        settled_shards(data_dir, number)
    assert not data_dir.exists()


@pytest.mark.parametrize("text", ["three", "0", "-1", "3 4", "\udcff"])
def test_a_number_that_cannot_be_read_is_an_error_that_says_where(data_dir: Path, text: str) -> None:
    data_dir.mkdir()
    (data_dir / "qwf.shards").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InvalidInput, match=r"qwf\.shards does not say how many shards"):
        shards_of(data_dir)
    with pytest.raises(InvalidInput, match=r"qwf\.shards does not say how many shards"):
        settled_shards(data_dir, 3)


def test_a_decision_that_was_cut_short_is_none(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "qwf.shards").touch()  # killed before the number was written
    assert shards_of(data_dir) == (data_dir,)
    assert len(settled_shards(data_dir, 3)) == 3
    assert len(shards_of(data_dir)) == 3


def test_processes_that_ask_at_once_for_other_numbers_share_the_servers_of_one(data_dir: Path) -> None:
    script = textwrap.dedent("""
        import anyio, os, sys
        from functools import partial
        from pathlib import Path
        from qwf_async.embedded.servers import ensure
        from qwf_async.errors import Refused
        begin, begun = os.pipe()
        children = []
        for number in (1, 2, 3, 1, 2, 3, None, None):
            if child := os.fork():
                children.append(child)
                continue
            os.close(begun)
            os.read(begin, 1)
            try:
                found = anyio.run(partial(ensure, Path(sys.argv[1]), shards=number))
                os.write(1, f"{number} {sorted(shard.pid for shard in found.shards)}\\n".encode())
            except Refused:
                os.write(1, f"{number} refused\\n".encode())
            os._exit(0)
        os.close(begun)
        for child in children:
            os.waitpid(child, 0)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(data_dir)], capture_output=True, text=True, check=True, timeout=110
    )
    answers = [line.split(" ", 1) for line in done.stdout.splitlines()]
    alive = sorted(processes(data_dir))
    assert len(answers) == 8
    allowed = {"None", str(len(alive))}
    assert {(number in allowed, text) for number, text in answers} == {(True, str(alive)), (False, "refused")}


@pytest.mark.anyio
async def test_a_shard_that_was_killed_is_started_again_with_what_was_saved(data_dir: Path) -> None:
    first = await ensure(data_dir, shards=3)
    write_on_each(first, save=True)
    killed = first.shards[1]
    os.kill(killed.pid, signal.SIGKILL)
    states = list((await status(data_dir)).values())
    assert [state is None for state in states] == [False, True, False]
    second = await ensure(data_dir)
    assert [shard.started for shard in second.shards] == [False, True, False]
    assert [shard.socket for shard in second.shards] == [shard.socket for shard in first.shards]
    assert read_of_each(second) == [b"0", b"1", b"2"]


@pytest.mark.anyio
async def test_a_start_that_was_killed_between_shards_is_no_obstacle(data_dir: Path) -> None:
    places = settled_shards(data_dir, 3)
    await ensure_one(places[0], sharing=3)  # and there the process was killed
    found = await ensure(data_dir)
    assert [shard.started for shard in found.shards] == [False, True, True]
    assert len(processes(data_dir)) == 3


@pytest.mark.anyio
async def test_a_shard_that_cannot_save_is_named_and_the_others_are_stopped(data_dir: Path) -> None:
    found = await ensure(data_dir, shards=3)
    write_on_each(found, save=False)
    (data_dir / "shard-2" / "qwf.rdb").mkdir()  # where the file should be
    with pytest.raises(ServerUnavailable, match=r"shard-2 cannot save and lives on"):
        await stop(data_dir)
    assert processes(data_dir) == [found.shards[1].pid]
    (data_dir / "shard-2" / "qwf.rdb").rmdir()
    assert await stop(data_dir)
    assert read_of_each(await ensure(data_dir)) == [b"0", b"1", b"2"]


@pytest.mark.anyio
@pytest.mark.parametrize("shards", [1, 3])
async def test_purge_ends_the_servers_and_leaves_nothing_but_what_is_not_theirs(
    data_dir: Path, shards: int
) -> None:
    found = await ensure(data_dir, shards=shards)
    write_on_each(found, save=True)
    os.kill(found.shards[0].pid, signal.SIGKILL)  # it leaves its socket and its process id
    (found.shards[0].data_dir / "temp-1.rdb").touch()
    assert await purge(data_dir)
    assert processes(data_dir) == []
    assert os.listdir(data_dir.parent) == []
    assert not any(map(os.path.lexists, (shard.socket for shard in found.shards)))
    assert not await purge(data_dir)
    await ensure(data_dir, shards=3 if shards == 1 else 1)  # nothing is decided any more
    (data_dir / "qwf.toml").touch()
    assert await purge(data_dir)
    assert os.listdir(data_dir) == ["qwf.toml"]


@pytest.mark.anyio
async def test_two_tasks_that_ensure_and_stop_end_with_live_servers(data_dir: Path) -> None:
    write_on_each(await ensure(data_dir, shards=2), save=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop, data_dir)
        tasks.start_soon(ensure, data_dir)
    assert read_of_each(await ensure(data_dir)) == [b"0", b"1"]
