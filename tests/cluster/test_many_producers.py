"""A load that many processes write into a cluster: equal on every node, and nothing left by a late one."""

from __future__ import annotations

import random
from contextlib import ExitStack
from functools import partial

import anyio
import anyio.to_thread
import pytest

import qwf_async
from qwf_async import sources
from tests.support.chance import new_seed
from tests.support.clusters import Cluster
from tests.support.producers import BLOCKS, GRID, producer, whole

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

begin = partial(qwf_async.begin, name="psi", grid=GRID, blocks=BLOCKS, fingerprint="run 7")


async def test_late_and_killed_writers_leave_the_wavefunction_whole(each_cluster: Cluster) -> None:
    chance = random.Random(new_seed())
    with ExitStack() as stack:
        async with qwf_async.connect(each_cluster.url) as store:
            async with begin(store) as load:
                regions = await load.missing()
                sleeper = stack.enter_context(producer(load.ticket, regions * 50))
                sleeper.wait_for(chance.randrange(len(regions)), chance)
                sleeper.freeze()
            async with begin(store, discard=True) as load:
                one, other = (stack.enter_context(producer(load.ticket, regions[n::2])) for n in range(2))
                one.wait_for(chance.randrange(len(regions) // 2), chance)
                one.kill()
                assert await anyio.to_thread.run_sync(other.outcome) == "done"
                last = stack.enter_context(producer(load.ticket, await load.missing()))
                assert await anyio.to_thread.run_sync(last.outcome) == "done"
                await load.publish()
            sleeper.go_on()
            assert (await anyio.to_thread.run_sync(sleeper.outcome)).startswith("LoadTaken")
            verified = await qwf_async.verify(store, "psi", sources.array(whole(), GRID))
            assert not verified.differing
            assert await store.orphans() == []
