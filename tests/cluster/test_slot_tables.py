"""The table of slots as real clusters reply it, and slots of keys as they compute them."""

from __future__ import annotations

import numpy as np
import pytest
from anyio import to_thread

from qwf_async.client.address import Address
from qwf_async.client.guard import SLOT_TABLE_BYTES
from qwf_async.client.node import Node
from qwf_async.client.slots import UNKNOWN_HOST, NodeAddress, SlotTable, slot_of, slots_of_groups
from qwf_async.errors import Refused, UsageError
from tests.cluster.conftest import OwnCluster
from tests.support.cluster_node import ClusterNode, wait_until
from tests.support.clusters import Cluster


async def table_of(cluster: Cluster) -> SlotTable:
    node = cluster.living[0]
    asked = Node(Address.parse(node.url))
    try:
        reply = await asked.call_once("CLUSTER", "SLOTS", limit=SLOT_TABLE_BYTES)
    finally:
        await asked.aclose()
    return SlotTable.parse(reply, asked=("127.0.0.1", node.port))


def lists_replicas(node: ClusterNode) -> bool:
    return all(len(entry) == 4 for entry in node.call("CLUSTER", "SLOTS"))


@pytest.mark.anyio
async def test_the_table_says_who_has_a_slot(each_cluster: Cluster) -> None:
    table = await table_of(each_cluster)
    assert table.uncovered == 0
    assert {(node.id, node.port) for node in table.nodes} == {
        (node.id, node.port) for node in each_cluster.primaries
    }
    for slot in (0, 5461, 5462, 9000, 16383):
        owner = table.owner(slot)
        assert owner is not None
        assert owner.id == each_cluster.node_of_slot(slot).id


@pytest.mark.anyio
@pytest.mark.parametrize("software", ["valkey", "redis"])
async def test_what_a_cluster_does_not_know_or_announces_is_in_the_table(
    own_cluster: OwnCluster, software: str
) -> None:
    cluster = own_cluster(software)
    first = cluster.primaries[0]
    cluster.flush()  # Redis lists no replica to which nothing was ever written
    await to_thread.run_sync(wait_until, lambda: lists_replicas(first), "replicas are listed")
    with first.plain as client:
        client.config_set("cluster-preferred-endpoint-type", "unknown-endpoint")
        table = await table_of(cluster)
        assert {node.host for node in table.nodes} == {"127.0.0.1"}  # where it was asked
        for primary, replicas in zip(table.nodes, table.replicas, strict=True):
            shard = [node.id for node in cluster.nodes if node.shard == cluster.node(primary.id).shard]
            assert sorted([primary.id, *(replica.id for replica in replicas)]) == sorted(shard)
        client.config_set("cluster-preferred-endpoint-type", "hostname")
        client.config_set("cluster-announce-hostname", "first.example")
        table = await table_of(cluster)
        others = {node.id: node.host for node in table.nodes if node.id != first.id}
        assert set(others.values()) == {UNKNOWN_HOST}
        assert table.owner(cluster.slots(first)[0]) == NodeAddress(
            id=first.id, host="first.example", port=first.port
        )
        client.config_set("cluster-require-full-coverage", "no")
        client.execute_command("CLUSTER", "DELSLOTS", *cluster.slots(first)[:7])
        assert (await table_of(cluster)).uncovered == 7


def test_a_server_computes_the_same_slots(each_cluster: Cluster) -> None:
    base = b"qwf:psi:{0123456789abcdef."
    groups = [0, 9, 10, 99, 100, 12345, 10**17]
    with each_cluster.living[0].plain as client:
        for key in (b"a", b"{}", b"a{}b", b"{a}{b}", b"x{{a}}", b"\xff\x00{\xff}"):
            assert client.execute_command("CLUSTER", "KEYSLOT", key) == slot_of(key)
        found = [client.execute_command("CLUSTER", "KEYSLOT", base + b"%d}:j" % group) for group in groups]
    assert slots_of_groups(base, np.array(groups)).tolist() == found


@pytest.mark.anyio
async def test_a_database_of_a_cluster_is_refused_in_plain_words(each_cluster: Cluster) -> None:
    node = Node(Address.parse(f"{each_cluster.url}/1"))
    with pytest.raises((UsageError, Refused), match=r"in a cluster only 0"):
        await node.call_once("PING")
    await node.aclose()
