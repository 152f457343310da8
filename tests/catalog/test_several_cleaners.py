"""Several cleaners at once, some of which are stopped or killed: none is in the way of another, nothing is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import pytest

from qwf_async.catalog.cleaning import Cleaned, clean, remove_generation, sweep
from qwf_async.catalog.keys import Keys
from qwf_async.catalog.scripts import DISCARD
from qwf_async.client.connection import Connection
from tests.conftest import Server, open_pool
from tests.support.command import ROOT, is_alive
from tests.support.handmade import (
    HOUR,
    KEYS,
    abandoned,
    all_of,
    begin,
    between,
    data_key,
    fields_at,
    fill,
    publish_one,
    put_data,
    scratch_of,
    superseded,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio


async def test_cleaners_at_the_same_time_do_not_get_in_each_others_way(each_server: Server) -> None:
    names = [Keys(prefix="qwf", name=f"psi{i}") for i in range(4)]
    found: list[Cleaned] = []

    async def cleaner() -> None:
        async with open_pool(each_server) as pool:
            found.append(await clean(pool, "qwf", batch=50, keep_interrupted=60))

    async with open_pool(each_server) as pool:
        kept = []
        for keys in names:
            kept.append(await superseded(each_server, pool, keys))
            scratch_of(each_server, 700, keys)
            await abandoned(each_server, pool, seconds=70, keys=keys)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(cleaner)
    assert sum(each.scratch_fields for each in found) == 4 * 700
    assert sum(each.abandoned_loads for each in found) == 4
    assert all(each.generations >= 0 for each in found)
    left = {b"qwf:names"}
    for keys, (_, new) in zip(names, kept, strict=True):
        left |= all_of(new.generation, keys) | {keys.meta.encode()}
    assert each_server.contents().keys() == left


async def test_an_abandoned_load_that_another_cleaner_swept_away_is_counted_once(each_server: Server) -> None:
    async with open_pool(each_server) as pool, open_pool(each_server) as another:
        await abandoned(each_server, pool, seconds=70)

        async def swept_by_another() -> None:
            assert await sweep(another, KEYS, batch=100) == 1

        between(pool, DISCARD, swept_by_another)
        assert await clean(pool, "qwf", batch=100, keep_interrupted=60) == Cleaned(abandoned_loads=1)
    assert each_server.contents() == {}


async def test_a_removal_that_was_stopped_is_found_by_the_next_cleaner(
    each_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    exchange = Connection.exchange

    async def removing(self: Connection, buffers: Any, replies: int, **options: Any) -> Any:
        answers = await exchange(self, buffers, replies, **options)
        if b"UNLINK" in b"".join(buffers):
            raise Stopped
        return answers

    async with open_pool(each_server) as pool, open_pool(each_server) as next_one:
        load = await begin(pool)
        with each_server.plain as client:
            client.flushall()
        put_data(each_server, load.manifest.generation)
        await fill(pool, load)
        monkeypatch.setattr(Connection, "exchange", removing)
        with pytest.raises(Stopped):
            await remove_generation(pool, KEYS, load.manifest, batch=2)
        monkeypatch.undo()
        left = each_server.contents().keys() & all_of(load.manifest.generation)
        assert len(left) == len(all_of(load.manifest.generation)) - 2
        assert await clean(next_one, "qwf", batch=100, keep_interrupted=60) == Cleaned(generations=1)
    assert each_server.contents() == {}


CLEANERS = """
import os
import signal
import sys
import anyio
from qwf_async.catalog.cleaning import clean
from qwf_async.client.address import Address
from qwf_async.client.pool import Pool

async def main():
    pool = Pool(Address.parse(sys.argv[1]))
    await pool.probe()
    os.write(1, b"%d\\n" % os.getpid())
    signal.sigwait({signal.SIGUSR1})
    await clean(pool, "qwf", batch=10, keep_interrupted=60)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(int(sys.argv[2])):
    if os.fork() == 0:
        anyio.run(main)
        os._exit(0)
sys.stdin.read()
"""
"""Processes that clean when they are told to, by SIGUSR1."""


@contextmanager
def cleaners(server: Server, number: int) -> Iterator[list[int]]:
    """The ids of so many cleaners that wait to be told."""
    with subprocess.Popen(
        [sys.executable, "-c", CLEANERS, server.url, str(number)],
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield [int(process.stdout.readline()) for _ in range(number)]
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def kill(pid: int) -> None:
    """Kill a process that may have ended, and wait until it is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))


def check_references(server: Server) -> None:
    """No journal is there without its data; neither is there if nothing refers to it."""
    held = server.contents()
    for key in held:
        _, name, what, *rest = key.decode().split(":") if key != b"qwf:names" else ("", "", "names")
        keys = Keys(prefix="qwf", name=name.strip("{}") or "none")
        if rest in (["s"], ["j"]):
            generation, group = what.strip("{}").split(".")
            by = [held.get(control.encode(), {}).get(b"generation") for control in (keys.meta, keys.load)]
            assert generation.encode() in {*by, *held.get(keys.trash.encode(), {})}
            assert name.encode() in held[b"qwf:names"]
        if rest == ["j"]:
            assert data_key(generation, keys, group=int(group)).encode() in held


def test_cleaners_that_are_killed_at_any_moment_leave_the_rest_to_the_next(server: Server) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown if it fails
    chance = random.Random(seed)
    names = [Keys(prefix="qwf", name=f"psi{i}") for i in range(30)]
    live = Keys(prefix="qwf", name="live")
    kept = {b"qwf:names", live.load.encode(), live.meta.encode()}

    async def prepare() -> None:
        async with open_pool(server) as pool:
            for keys in names:
                _, new = await superseded(server, pool, keys)
                kept.update(all_of(new.generation, keys), {keys.meta.encode()})
                scratch_of(server, 5, keys)
                await abandoned(server, pool, seconds=70, keys=keys)
            kept.update(all_of((await publish_one(pool, keys=live)).generation, live))
            running = await begin(pool, keys=live, overwrite=True, ttl=HOUR)
            put_data(server, fields_at(server, live.meta)["generation"], live)
            put_data(server, running.manifest.generation, live)
            await fill(pool, running)
            kept.update(all_of(running.manifest.generation, live))

    async def finish() -> Cleaned:
        async with open_pool(server) as pool:
            return await clean(pool, "qwf", batch=100, keep_interrupted=60)

    anyio.run(prepare)
    before = server.contents()
    with cleaners(server, 8) as pids:
        # Two at a time, somewhere in the work of some 100 ms, which each pair takes up where the last was killed.
        for pair in zip(pids[::2], pids[1::2], strict=True):
            for pid in pair:
                os.kill(pid, signal.SIGUSR1)
            for pid in pair:
                time.sleep(chance.uniform(0, 0.012))
                kill(pid)
            check_references(server)
    anyio.run(finish)
    after = server.contents()
    assert after.keys() == kept
    assert after == {key: before[key] for key in after}
    assert not anyio.run(finish)
