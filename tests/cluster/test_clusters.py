"""The clusters that tests run against do what real ones do."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.cluster.conftest import OwnCluster
from tests.support.cluster_node import ClusterNode
from tests.support.clusters import SLOTS, Cluster


def filled(cluster: Cluster, keys: int = 300) -> dict[bytes, object]:
    """What is in it after each of its primaries got some hashes."""
    with cluster.plain as client:
        for number in range(keys):
            client.hset(f"qwf:psi:{{{number}}}:s0", mapping={"x": str(number), "y": "1"})
    return cluster.contents()


def test_all_nodes_are_there_and_share_the_slots(each_cluster: Cluster) -> None:
    each_cluster.wait_until_ok()
    shares = [len(each_cluster.slots(node)) for node in each_cluster.primaries]
    assert len(shares) == 3
    assert sum(shares) == SLOTS
    assert len(filled(each_cluster)) == 300
    each_cluster.flush()
    assert each_cluster.contents() == {}


def moved_and_back(cluster: Cluster, way: Literal["keys", "atomic"]) -> None:
    before = filled(cluster)
    source = cluster.node_of("qwf:psi:{1}:s0")
    target = next(node for node in cluster.primaries if node is not source)
    slots = cluster.slots(source)[::100]
    slots += [slot] if (slot := slot_of(source, "qwf:psi:{1}:s0")) not in slots else []
    cluster.move_slots(slots, source, target, way)
    assert cluster.node_of("qwf:psi:{1}:s0") is target
    assert cluster.contents() == before
    cluster.move_slots(slots, target, source, way)
    assert cluster.node_of("qwf:psi:{1}:s0") is source
    assert cluster.contents() == before


def slot_of(node: ClusterNode, key: str) -> int:
    return int(node.call("CLUSTER", "KEYSLOT", key))


def test_slots_are_moved_key_by_key_with_what_they_hold(each_cluster: Cluster) -> None:
    moved_and_back(each_cluster, "keys")


def test_slots_are_moved_at_once_with_what_they_hold(cluster: Cluster) -> None:
    moved_and_back(cluster, "atomic")


@pytest.mark.parametrize("software", ["valkey", "redis"])
def test_a_replica_takes_the_place_of_its_primary(own_cluster: OwnCluster, software: str) -> None:
    cluster = own_cluster(software)
    before = filled(cluster)
    lost = cluster.primaries[0]
    replica = cluster.replica_of(lost)
    with lost.plain as client:
        assert client.wait(1, 10_000) == 1
    cluster.kill(lost)
    assert cluster.failover_done(lost) is replica
    assert cluster.contents() == before
    cluster.restart(lost)
    cluster.wait_until_ok()
    assert cluster.replica_of(replica) is lost


def test_a_node_joins_and_gets_slots(own_cluster: OwnCluster) -> None:
    cluster = own_cluster(replicas=0)
    before = filled(cluster)
    added = cluster.add_node()
    source = cluster.primaries[0]
    cluster.move_slots(cluster.slots(source)[:200], source, added, "atomic")
    assert len(cluster.slots(added)) == 200
    assert cluster.contents() == before
    cluster.stop(added)
    assert added not in cluster.living
    cluster.go_on(added)
    cluster.wait_until_ok()
