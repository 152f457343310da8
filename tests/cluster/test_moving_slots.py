"""All that is done with a store ends well while slots move back and forth without a pause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anyio
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from tests.cluster.conftest import OwnCluster
from tests.conftest import PATIENCE
from tests.support.loads import leave_unfinished, wave
from tests.support.slot_mover import Mover

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

PSI = wave(30, 10, 10, 10)
POINTS = np.random.default_rng(0).integers(0, (10, 10, 10, 30), (500, 4))
WANTED = PSI[POINTS[:, 3], *POINTS[:, :3].T]
"""The values at POINTS, whose order is x, y, z, t."""

MOVES = 10
"""Slots that are moved, at least, while something is done again and again."""

WAYS = [("valkey", "keys", "packed"), ("redis", "keys", "flat"), ("valkey", "atomic", "tile")]


async def while_moving(mover: Mover, job: Callable[[], Awaitable[Any]]) -> None:
    """Do a job again and again, until enough slots have moved meanwhile."""
    end = mover.moves + MOVES
    while mover.moves < end:
        await job()


@pytest.mark.parametrize(("software", "way", "layout"), WAYS)
async def test_everything_ends_well_while_slots_move(
    own_cluster: OwnCluster, software: str, way: Literal["keys", "atomic"], layout: str
) -> None:
    cluster = own_cluster(software, replicas=0)
    source = sources.array(PSI)
    with (
        anyio.fail_after(2 * PATIENCE),
        Mover(cluster, (cluster.nodes[0], cluster.nodes[1]), way).running() as mover,
    ):
        await leave_unfinished(cluster, source, 9000, layout=layout, max_rate=30_000)
        async with qwf_async.connect(cluster.url) as store:
            report = await qwf_async.ingest(
                source, store, "psi", layout=layout, resume=True, verify=True, max_rate=30_000
            )
            assert report.resumed_chunks > 0
            psi = await store.open("psi")

            async def read_whole() -> None:
                np.testing.assert_array_equal(await psi.read[...], PSI)

            async def read_scattered() -> None:
                np.testing.assert_array_equal(await psi.read_points(POINTS), WANTED)

            async def update() -> None:
                await psi.update_region(np.s_[:, 3:8, 2, 1], PSI[:, 3:8, 2, 1])

            async def verify() -> None:
                assert not (await qwf_async.verify(store, "psi")).differences

            for job in (read_whole, read_scattered, verify, update, verify):
                await while_moving(mover, job)
            again = await qwf_async.ingest(source, store, "psi", layout=layout, overwrite=True)
            assert again.points == PSI.size
            assert await store.remove("psi")
            await store.clean()
            assert not await store.orphans(remove=True)
    assert not cluster.contents()
