"""Connections that the server kills, requests that are cancelled, and a clock that jumps.

Whatever happened, what is stored is read by plain redis-py, past the relay, and compared with
the source bit for bit. Random tests print their seed, and QWF_TEST_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import QwfError
from qwf_async.store.wavefunction import Wavefunction
from tests.conftest import Server
from tests.support.loads import (
    ask,
    check_no_client_left,
    check_points,
    ingested,
    wave,
    when_stored,
)
from tests.support.loops import ON_UVLOOP
from tests.support.relay import Relay

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]


CANCELLATIONS = 1000


KILLS = 20


PSI = wave(4, 10, 10, 10)


async def test_connections_killed_all_the_time_are_no_error_to_readers_and_changers(
    each_server: Server, chance: random.Random
) -> None:
    await ingested(each_server, sources.array(PSI))
    kills = 0

    async def kill() -> None:
        nonlocal kills
        with each_server.plain as client:
            while kills < KILLS:
                own = client.client_id()
                others = [one["id"] for one in client.client_list() if int(one["id"]) != own]
                if others:
                    kills += client.client_kill_filter(_id=chance.choice(others))
                await anyio.sleep(0.02)

    async def use(psi: Wavefunction, t: int) -> None:
        x, y, z = (chance.randrange(10) for _ in range(3))
        changed = complex(chance.random(), chance.random())
        match chance.randrange(5):
            case 0:
                assert await psi.point(x, y, z, t) == PSI[t, x, y, z]
            case 1:
                assert np.array_equal(await psi.read[t, :, y], PSI[t, :, y])
            case 2:
                assert await psi.read_points([[x, y, z, t]]) == [PSI[t, x, y, z]]
            case 3:
                async with qwf_async.connect(each_server.url) as fresh:
                    assert await (await fresh.open("psi")).point(x, y, z, t) == PSI[t, x, y, z]
            case _:
                await psi.update(x, y, z, t, value=changed)
                assert await psi.point(x, y, z, t) == changed
                await psi.update(x, y, z, t, value=complex(PSI[t, x, y, z]))

    async def work(psi: Wavefunction, t: int) -> None:
        while kills < KILLS:
            await use(psi, t)

    async with qwf_async.connect(each_server.url) as store:
        psi = await store.open("psi")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            for t in range(len(PSI)):  # each has a frame of its own
                tasks.start_soon(work, psi, t)
    check_points(each_server, PSI)
    await check_no_client_left(each_server)


async def test_a_thousand_random_cancellations_give_no_wrong_reply_and_leak_nothing(
    server: Server, chance: random.Random
) -> None:
    """The real part of a value is the number of its point, the imaginary part that of the change."""
    shape = (2, 8, 6, 6)
    numbers = np.arange(np.prod(shape), dtype=float).reshape(shape)
    await ingested(server, sources.array(numbers + 0j))
    tried, done = np.zeros(shape), np.zeros(shape)
    cancelled = completed = 0

    def check(index: Any, values: Any, least: Any) -> None:
        assert np.array_equal(np.real(values), numbers[index])
        assert (np.imag(values) >= least).all()
        assert (np.imag(values) <= tried[index]).all()

    async def one_point(psi: Wavefunction, x: int) -> None:
        index = (chance.randrange(2), x, chance.randrange(6), chance.randrange(6))
        least = done[index]
        check(index, await psi.point(*index[1:], index[0]), least)

    async def many_points(psi: Wavefunction, x: int) -> None:
        rows = np.array([[chance.randrange(size) for size in shape] for _ in range(50)])
        index = tuple(rows.T)
        least = done[index]
        check(index, await psi.read_points(rows[:, [1, 2, 3, 0]]), least)

    async def plane(psi: Wavefunction, x: int) -> None:
        index = (slice(None), x)
        least = done[index].copy()
        check(index, await psi.read[index], least)

    async def change(psi: Wavefunction, x: int) -> None:
        index = (chance.randrange(2), x, chance.randrange(6), chance.randrange(6))
        tried[index] += 1
        mine = tried[index]
        await psi.update(*index[1:], index[0], value=complex(numbers[index], mine))
        done[index] = mine

    async def change_region(psi: Wavefunction, x: int) -> None:
        index = (slice(None), x, slice(2, 5))
        tried[index] += 1
        mine = tried[index].copy()
        await psi.update_region(index, numbers[index] + 1j * mine)
        done[index] = mine

    async def work(psi: Wavefunction, x: int) -> None:
        nonlocal cancelled, completed
        while cancelled < CANCELLATIONS or completed < CANCELLATIONS // 4:
            job = chance.choice([one_point, many_points, plane, change, change_region])
            with anyio.CancelScope() as scope:
                if chance.random() < 0.5:
                    scope.deadline = anyio.current_time() + chance.expovariate(1 / 0.002)
                    await job(psi, x)
                else:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(job, psi, x)
                        for _ in range(chance.randrange(80)):
                            await anyio.lowlevel.checkpoint()
                        if chance.random() < 0.8:
                            scope.cancel()
            cancelled += scope.cancelled_caught
            completed += not scope.cancelled_caught

    before = asyncio.all_tasks()
    async with qwf_async.connect(server.url, settings=Settings(max_connections=5)) as store:
        psi = await store.open("psi")
        async with anyio.create_task_group() as tasks:
            for x in range(8):  # each changes a plane of its own
                tasks.start_soon(work, psi, x)
        await check_no_client_left(server, but=5)
        assert asyncio.all_tasks() == before
        await psi.update_region((), numbers + 1j * tried)
        assert np.array_equal(await psi.read[:], numbers + 1j * tried)
    check_points(server, numbers + 1j * tried)
    await check_no_client_left(server)
    print(f"{cancelled} cancellations, {completed} calls that ended, wrong replies 0")  # noqa: T201 # the figures


@ON_UVLOOP
async def test_a_clock_that_jumps_moves_no_deadline(
    server: Server, relay: Relay, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + chance.uniform(-1e6, 1e6))
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))
    away: list[float] = []

    def vanish() -> None:
        relay.refuse()
        relay.cut()
        away.append(time.monotonic())

    def vanish_for_a_while() -> None:
        vanish()
        relay.normal(after=0.4)

    async with qwf_async.connect(relay.url) as store:
        hooks = (when_stored(2000, vanish_for_a_while),)
        await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=hooks)
    check_points(server, PSI)
    settings = Settings(deadline=1.5, ownership_ttl=1.0)
    async with qwf_async.connect(relay.url, settings=settings) as store:
        with pytest.raises(QwfError) as raised:  # it is away until then: nothing but the deadline ends this
            await qwf_async.ingest(sources.array(PSI), store, "other", hooks=(when_stored(2000, vanish),))
    assert raised.value.exit_code in (3, 6)
    assert time.monotonic() - away[1] > 0.5
    assert not ask(server, "EXISTS", "qwf:{other}:meta")
