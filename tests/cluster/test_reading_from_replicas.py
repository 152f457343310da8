"""Values read from the replicas of a cluster, which may be behind or gone."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.lowlevel
import numpy as np
import pytest
import zarr
from zarr.core.sync import sync

import qwf_async
from qwf_async import Settings, sources
from qwf_async.zarr_store import ZarrStore
from tests.cluster.conftest import OwnCluster
from tests.conftest import PATIENCE
from tests.support.cluster_node import ClusterNode
from tests.support.clusters import Cluster
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio

sync(anyio.lowlevel.checkpoint())  # starts Zarr's own thread, which stays for as long as the process

CHANCE = np.random.default_rng(5)
PSI = CHANCE.standard_normal((1, 40, 32, 32)) + 1j * CHANCE.standard_normal((1, 40, 32, 32))
POINTS = np.array([[x, 3, 5, 0] for x in range(40)])


def is_level(primary: ClusterNode, replica: ClusterNode) -> bool:
    """Whether a replica has all that its primary has."""
    has = primary.plain.info("replication")["master_repl_offset"]
    return bool(has == replica.plain.info("replication")["slave_repl_offset"])


def announces_replicas(node: ClusterNode) -> bool:
    """Whether a node names a replica for each range of slots."""
    return all(len(entry) > 3 for entry in node.call("CLUSTER", "SLOTS"))


def with_replicas(own_cluster: OwnCluster, software: str) -> Cluster:
    cluster = own_cluster(software)
    wait_until(lambda: all(map(announces_replicas, cluster.living)))
    return cluster


@pytest.mark.parametrize("software", ["valkey", "redis"])
async def test_values_come_from_replicas_and_from_primaries_where_a_replica_is_behind_or_gone(
    own_cluster: OwnCluster, software: str
) -> None:
    cluster = with_replicas(own_cluster, software)
    settings = Settings(url=cluster.url, read_from="replica", socket_timeout=0.5)
    async with qwf_async.connect(settings=settings) as store:
        for layout in ("flat", "packed", "tile"):
            await qwf_async.ingest(sources.array(PSI), store, layout, layout=layout)
        replicas = [cluster.replica_of(primary) for primary in cluster.primaries]
        for primary, replica in zip(cluster.primaries, replicas, strict=True):
            wait_until(partial(is_level, primary, replica))
        opened = [await store.open(layout) for layout in ("flat", "packed", "tile")]
        asked = [node.plain.info("commandstats") for node in cluster.primaries]
        for psi in opened:
            assert np.array_equal(await psi.read[...], PSI)
            assert np.array_equal(await psi.read_points(POINTS), PSI[0, :, 3, 5])
            assert await psi.point(7, 8, 9) == PSI[0, 7, 8, 9]
        now = [node.plain.info("commandstats") for node in cluster.primaries]
        for command in ("cmdstat_hmget", "cmdstat_dump", "cmdstat_hgetall"):
            for before, after in zip(asked, now, strict=True):
                assert after.get(command, {}).get("calls") == before.get(command, {}).get("calls")
        cluster.stop(replicas[0])
        try:
            await qwf_async.ingest(sources.array(-PSI), store, "flat", overwrite=True)
            cluster.kill(replicas[1])
            assert np.array_equal(await (await store.open("flat")).read[...], -PSI)
        finally:
            cluster.go_on(replicas[0])


async def test_a_zarr_store_reads_from_replicas_too(own_cluster: OwnCluster) -> None:
    cluster = with_replicas(own_cluster, "valkey")
    settings = Settings(url=cluster.url, read_from="replica", socket_timeout=PATIENCE)
    async with qwf_async.connect(settings=settings) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout="tile")
        with ZarrStore(await store.open("psi")) as opened:
            array = zarr.open_array(opened, path="psi", mode="r")
            assert np.array_equal(np.asarray(array[:]), PSI)
