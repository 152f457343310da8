"""Boxes with few points in each of many chunks: each node of a cluster is asked once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from tests.cluster.conftest import OwnCluster
from tests.support.clusters import Cluster

pytestmark = pytest.mark.anyio

CHANCE = np.random.default_rng(7)
PSI = CHANCE.standard_normal((3, 60, 50, 70)) + 1j * CHANCE.standard_normal((3, 60, 50, 70))
PLANES: tuple[Any, ...] = (
    np.s_[:, :, 20],
    np.s_[:, :, :, 11],
    np.s_[:, 30],
    np.s_[1:, 3:50, 5:7, 9:60],
    np.s_[...],
)


@pytest.mark.parametrize("layout", ["flat", "packed", "tile"])
async def test_every_box_is_what_was_stored(each_cluster: Cluster, layout: str) -> None:
    async with qwf_async.connect(each_cluster.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout)
        psi = await store.open("psi")
        for plane in PLANES:
            assert np.array_equal(await psi.read[plane], PSI[plane])


async def test_a_plane_through_all_chunks_takes_an_exchange_with_each_node(each_cluster: Cluster) -> None:
    async with qwf_async.connect(each_cluster.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout="packed")
        psi = await store.open("psi")
        await psi.read[:, :, 20]
        before = store.pool.counts.borrowed
        await psi.read[:, :, 20]
        assert store.pool.counts.borrowed - before <= len(store.pool.nodes)


async def test_a_slot_that_was_moved_is_found_again(own_cluster: OwnCluster) -> None:
    cluster = own_cluster("valkey")
    async with qwf_async.connect(cluster.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout="packed")
        psi = await store.open("psi")
        first, second, *_ = cluster.primaries
        cluster.move_slots(cluster.slots(first), first, second, "atomic")
        assert np.array_equal(await psi.read[:, :, 20], PSI[:, :, 20])
