"""Writers that are killed, slow, or late: what they wrote is whole, or nothing of it is left."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import anyio
import anyio.to_thread
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from tests.conftest import Server
from tests.support.chance import new_seed
from tests.support.late_delivery import holding
from tests.support.loads import ask, check_alone, check_points, published
from tests.support.producers import BLOCKS, GRID, Region, producer, whole

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

begin = partial(qwf_async.begin, name="psi", grid=GRID, blocks=BLOCKS, fingerprint="run 7")


async def write_here(ticket: qwf_async.Ticket, regions: Sequence[Region]) -> None:
    with producer(ticket, regions) as process:
        assert await anyio.to_thread.run_sync(process.outcome) == "done"


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
async def test_blocks_of_a_killed_process_are_written_by_another(each_server: Server, kills: int) -> None:
    chance = random.Random(new_seed())
    for _ in range(kills):
        async with qwf_async.connect(each_server.url) as store:
            async with begin(store, overwrite=True) as load:
                regions = await load.missing()
                with (
                    producer(load.ticket, regions[::2]) as one,
                    producer(load.ticket, regions[1::2]) as other,
                ):
                    one.wait_for(chance.randrange(len(regions) // 2), chance)
                    await anyio.to_thread.run_sync(one.kill)
                    assert await anyio.to_thread.run_sync(other.outcome) == "done"
                again = await load.missing()
                assert set(map(str, again)) <= set(map(str, regions[::2]))
                await write_here(load.ticket, again)
                await load.publish()
            verified = await qwf_async.verify(store, "psi", sources.array(whole(), GRID))
            assert not verified.differing
    check_alone(each_server)


async def sleeper_wakes(server: Server, url: str, chance: random.Random) -> str:
    """Stop a process that writes, discard its load, publish another one, and let it go on. How it ends."""
    with ExitStack() as stack:
        async with qwf_async.connect(url) as store:
            async with begin(store) as load:
                regions = await load.missing()
                sleeper = stack.enter_context(producer(load.ticket, regions * 50))
                sleeper.wait_for(chance.randrange(len(regions)), chance)
                sleeper.freeze()
            async with begin(store, discard=True) as load:
                await write_here(load.ticket, regions)
                await load.publish()
        generation = published(server)
        sleeper.go_on()
        outcome = await anyio.to_thread.run_sync(sleeper.outcome)
    assert published(server) == generation
    return outcome


@pytest.mark.parametrize("tries", [2, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
async def test_process_that_slept_while_its_load_was_discarded_leaves_no_key(
    each_server: Server, tries: int
) -> None:
    chance = random.Random(new_seed())
    for _ in range(tries):
        ask(each_server, "FLUSHALL")
        outcome = await sleeper_wakes(each_server, each_server.url, chance)
        assert outcome.startswith("LoadTaken"), outcome
        check_points(each_server, whole())
        check_alone(each_server)


async def test_process_that_slept_leaves_no_key_where_nobody_may_end_connections(
    each_own_server: Server,
) -> None:
    server, chance = each_own_server, random.Random(new_seed())
    ask(server, "ACL", "SETUSER", "default", "-client|kill")
    for _ in range(2):
        ask(server, "FLUSHALL")
        outcome = await sleeper_wakes(server, server.url, chance)
        assert outcome.startswith("LoadTaken"), outcome
        check_points(server, whole())
        check_alone(server)


async def test_late_bytes_of_a_writer_are_not_applied_after_another_has_published(server: Server) -> None:
    with holding(server) as holder, ExitStack() as stack:
        async with qwf_async.connect(holder.url) as store, begin(store) as load:
            regions = await load.missing()
            holder.keeps = (b"HSET", b"RESTORE")
            late = stack.enter_context(producer(load.ticket, regions))
            await anyio.to_thread.run_sync(holder.wait)
            late.kill()
            holder.keeps = ()
        async with qwf_async.connect(server.url) as store, begin(store, discard=True) as load:
            await write_here(load.ticket, regions)
            await load.publish()
        await anyio.to_thread.run_sync(holder.deliver)
    check_points(server, whole())
    check_alone(server)


async def test_publishing_cuts_late_writers_off(server: Server) -> None:
    with holding(server) as holder, ExitStack() as stack:
        async with qwf_async.connect(server.url) as store, begin(store) as load:
            regions = await load.missing()
            holder.keeps = (b"HSET", b"RESTORE")
            there = replace(load.ticket, place=replace(load.ticket.place, url=holder.url))
            late = stack.enter_context(producer(there, regions[:1]))
            await anyio.to_thread.run_sync(holder.wait)
            await write_here(load.ticket, regions)
            await load.publish()
            late.kill()
            await (await store.open("psi")).update_region(np.s_[0, :8, :8], np.full((8, 8, 16), 7.0))
        await anyio.to_thread.run_sync(holder.deliver)
    psi = whole()
    psi[0, :8, :8] = 7.0
    check_points(server, psi)
