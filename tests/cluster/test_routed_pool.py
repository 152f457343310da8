"""A pool finds the nodes of real clusters by keys, whatever moves, is lost or is announced wrongly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import numpy as np
import pytest
from anyio import to_thread

from qwf_async.client.address import Address
from qwf_async.client.cluster import LOOK_EVERY
from qwf_async.client.failure import Moved
from qwf_async.client.following import exchange, send_commands
from qwf_async.client.pool import Pool
from qwf_async.client.reply import is_text
from qwf_async.client.slots import slot_of
from qwf_async.errors import Refused, ServerUnavailable
from tests.cluster.conftest import OwnCluster
from tests.conftest import PATIENCE, free_port
from tests.support.certificates import Certificates
from tests.support.cluster_node import ClusterNode, wait_until
from tests.support.clusters import Cluster
from tests.support.slot_moves import begin_move
from tests.support.waiting import until

KEYS = [f"key {number}" for number in range(60)]
"""Of all nodes."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    found = Certificates(directory=tmp_path_factory.mktemp("certificates"))
    found.authority("ca")
    found.issue("server", "ca", "IP:127.0.0.1")
    return found


@asynccontextmanager
async def pool_to(url: str, **options: Any) -> AsyncIterator[Pool]:
    """A pool that knows its cluster."""
    pool = Pool(Address.parse(url), **{"deadline": PATIENCE, **options})
    try:
        await pool.probe()
        yield pool
    finally:
        await pool.aclose()


def port_of(pool: Pool, key: str) -> int:
    """Where the pool believes a key to be."""
    return int(pool.node_of(key).address.options["port"])


def tables_asked(cluster: Cluster) -> int:
    """How often the nodes that answer were asked for the table since `forget_questions`."""
    asked = 0
    for node in cluster.living:
        with node.plain as client:
            asked += client.info("commandstats").get("cmdstat_cluster|slots", {"calls": 0})["calls"]
    return asked


def forget_questions(cluster: Cluster) -> None:
    for node in cluster.living:
        node.call("CONFIG", "RESETSTAT")


def other_than(cluster: Cluster, node: ClusterNode) -> ClusterNode:
    return next(other for other in cluster.primaries if other is not node)


@pytest.mark.anyio
async def test_each_key_is_at_its_node(each_cluster: Cluster) -> None:
    async with pool_to(each_cluster.url) as pool:
        assert pool.is_cluster
        assert {node.address.options["port"] for node in pool.nodes} == {
            n.port for n in each_cluster.primaries
        }
        async with anyio.create_task_group() as tasks:
            for key in KEYS:
                tasks.start_soon(pool.call, "SET", key, key)
        for key in KEYS:
            assert port_of(pool, key) == each_cluster.node_of(key).port
    assert each_cluster.contents() == {key.encode(): key.encode() for key in KEYS}


def clients_of(cluster: Cluster) -> int:
    """How many connections the primaries have together, without the ones that ask."""
    return sum(node.call("INFO", "clients")["connected_clients"] - 1 for node in cluster.primaries)


@pytest.mark.anyio
async def test_one_connection_is_enough_for_all_nodes(cluster: Cluster) -> None:
    async with pool_to(cluster.url, size=1) as pool:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for key in KEYS:
                    tasks.start_soon(pool.call, "SET", key, key)
        await until(lambda: clients_of(cluster) <= 1)  # those of a test before may be on their way out
    assert len(cluster.contents()) == len(KEYS)


@pytest.mark.anyio
async def test_moves_are_learned_from_replies_with_one_question(each_cluster: Cluster) -> None:
    async with pool_to(each_cluster.url) as pool:
        source = each_cluster.node_of(KEYS[0])
        target = other_than(each_cluster, source)
        keys = [key for key in KEYS if each_cluster.node_of(key) is source]
        slots = [slot_of(key) for key in keys]
        await to_thread.run_sync(each_cluster.move_slots, slots, source, target)
        try:
            forget_questions(each_cluster)
            began = anyio.current_time()
            async with anyio.create_task_group() as tasks:
                for key in keys:
                    tasks.start_soon(pool.call, "SET", key, key)
            assert tables_asked(each_cluster) <= 1 + (anyio.current_time() - began) / LOOK_EVERY
            assert {port_of(pool, key) for key in keys} == {target.port}
        finally:
            await to_thread.run_sync(each_cluster.move_slots, slots, target, source)
        for key in keys:
            assert await pool.call("GET", key) == key.encode()
            assert port_of(pool, key) == source.port


@pytest.mark.anyio
async def test_a_move_is_learned_from_the_replies_to_encoded_requests(each_cluster: Cluster) -> None:
    key = KEYS[0]
    source = each_cluster.node_of(key)
    target = other_than(each_cluster, source)
    async with pool_to(each_cluster.url) as pool:
        await pool.call("SET", key, "v")
        await to_thread.run_sync(each_cluster.move_slots, [slot_of(key)], source, target)
        request = b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key.encode())

        async def get() -> list[Any]:
            return await exchange(
                pool, key, [request], 1, expect=lambda _, reply: reply == b"v", doing=lambda _: "reading"
            )

        assert await get() == [b"v"]
        assert port_of(pool, key) == target.port
        await to_thread.run_sync(each_cluster.move_slots, [slot_of(key)], target, source)
        assert await get() == [b"v"]
        assert port_of(pool, key) == source.port


@pytest.mark.anyio
async def test_no_groups_are_on_no_node(each_cluster: Cluster) -> None:
    async with pool_to(each_cluster.url) as pool:
        assert list(pool.nodes_of(b"qwf:psi:{0123456789abcdef.", np.arange(0))) == []


@pytest.mark.anyio
async def test_a_key_on_its_way_is_asked_for_at_the_target(each_cluster: Cluster) -> None:
    key = KEYS[0]
    source = each_cluster.node_of(key)
    target = other_than(each_cluster, source)
    slot = slot_of(key)
    async with pool_to(each_cluster.url) as pool:
        await pool.call("GET", key)
        begin_move(slot, source, target)
        try:
            forget_questions(each_cluster)
            await pool.call("HSET", key, "f", "v")
            request = b"*3\r\n$4\r\nHGET\r\n$%d\r\n%s\r\n$1\r\nf\r\n" % (len(key), key.encode())
            replies = await exchange(
                pool, key, [request] * 2, 2, expect=lambda _, reply: reply == b"v", doing=lambda _: "reading"
            )
            assert replies == [b"v", b"v"]
            assert await send_commands(pool, [["HGET", key, "f"]], expect=is_text, doing="") == [b"v"]
            assert port_of(pool, key) == source.port
            assert tables_asked(each_cluster) == 0
        finally:
            await to_thread.run_sync(each_cluster.end_move, slot, target)
        assert await pool.call("HGET", key, "f") == b"v"
        assert port_of(pool, key) == target.port
    await to_thread.run_sync(each_cluster.move_slots, [slot], target, source)


@pytest.mark.anyio
async def test_a_move_is_learned_by_a_task_that_holds_the_only_place(cluster: Cluster) -> None:
    first, source = KEYS[0], other_than(cluster, cluster.node_of(KEYS[0]))
    key = next(key for key in KEYS if cluster.node_of(key) is source)
    target = next(node for node in cluster.primaries if node not in (source, cluster.node_of(first)))
    async with pool_to(cluster.url, size=1) as pool:
        await to_thread.run_sync(cluster.move_slots, [slot_of(key)], source, target)
        forget_questions(cluster)
        async with pool.connection(first) as held:
            with pytest.raises(Moved):
                async with pool.beside(key, held) as connection:
                    await connection.call("SET", key, "v")
            assert tables_asked(cluster) == 1
            async with pool.beside(key, held) as connection:
                await connection.call("SET", key, "v")
    await to_thread.run_sync(cluster.move_slots, [slot_of(key)], target, source)


@pytest.mark.anyio
async def test_slots_that_had_no_node_for_a_while_are_found_again(own_cluster: OwnCluster) -> None:
    cluster = own_cluster(replicas=0, **{"cluster-require-full-coverage": "no"})
    key = KEYS[0]
    slot, owner = slot_of(key), cluster.node_of(KEYS[0])
    async with pool_to(cluster.url, deadline=3) as pool:
        for node in cluster.nodes:
            node.call("CLUSTER", "DELSLOTS", slot)
        with pytest.raises(ServerUnavailable):
            await pool.call("SET", key, "v")
        owner.call("CLUSTER", "ADDSLOTS", slot)
        await pool.call("SET", key, "v")
    assert owner.call("GET", key) == b"v"


@pytest.mark.anyio
@pytest.mark.parametrize("software", ["valkey", "redis"])
async def test_a_primary_that_is_lost_is_replaced(own_cluster: OwnCluster, software: str) -> None:
    cluster = own_cluster(software)
    key = KEYS[0]
    async with pool_to(cluster.url) as pool:
        await pool.call("SET", key, "v")
        lost = cluster.node_of(key)
        cluster.kill(lost)
        await pool.call("SET", key, "w")
        assert port_of(pool, key) in {node.port for node in cluster.living if node.shard == lost.shard}
        for other in KEYS:
            await pool.call("SET", other, "w")


@pytest.mark.anyio
@pytest.mark.parametrize("names", ["id", "place"])
async def test_nodes_that_announce_what_cannot_be_reached(own_cluster: OwnCluster, names: str) -> None:
    options = {"cluster-preferred-endpoint-type": "hostname", "cluster-announce-port": "7"}
    cluster = own_cluster(replicas=0, **options)
    node_map = {}
    for number, node in enumerate(cluster.nodes):
        host = f"node-{number}.invalid"
        node.call("CONFIG", "SET", "cluster-announce-hostname", host)
        node_map[node.id if names == "id" else f"{host}:7"] = node.address
    await to_thread.run_sync(wait_for_names, cluster)
    async with pool_to(cluster.url, node_map=node_map) as pool:
        for key in KEYS:
            await pool.call("SET", key, key)
    assert len(cluster_keys(cluster)) == len(KEYS)


def wait_for_names(cluster: Cluster) -> None:
    def named() -> bool:
        hosts = [entry[2][0] for node in cluster.nodes for entry in node.call("CLUSTER", "SLOTS")]
        return all(host.endswith(b".invalid") for host in hosts)

    wait_until(named, "all nodes know all names")


def cluster_keys(cluster: Cluster) -> list[bytes]:
    return [key for node in cluster.nodes for key in node.call("KEYS", "*")]


@pytest.mark.anyio
async def test_a_user_of_a_cluster_is_the_same_at_each_node(each_cluster: Cluster) -> None:
    rights = ("reset", "on", ">sesame", "~*", "+get", "+set", "+ping", "+info", "+cluster|slots")
    for node in each_cluster.primaries:
        node.call("ACL", "SETUSER", "worker", *rights)
    try:
        place = each_cluster.living[0].address
        async with pool_to(f"redis://worker:sesame@{place}") as pool:
            for key in KEYS:
                await pool.call("SET", key, key)
            assert "sesame" not in " ".join(node.address.shown for node in pool.nodes)
        with pytest.raises(Refused, match="does not accept this user name and password"):
            async with pool_to(f"redis+cluster://worker:wrong@{place}"):
                pass
    finally:
        for node in each_cluster.primaries:
            node.call("ACL", "DELUSER", "worker")


@pytest.mark.anyio
async def test_nodes_of_a_cluster_are_reached_over_tls(
    own_cluster: OwnCluster, certificates: Certificates
) -> None:
    with free_port() as port:
        options = {
            "tls-port": str(port),
            "tls-cluster": "yes",
            "tls-auth-clients": "no",
            "tls-ca-cert-file": certificates["ca.pem"],
            "tls-cert-file": certificates["server.pem"],
            "tls-key-file": certificates["server.key"],
        }
        own_cluster("redis", primaries=1, replicas=0, **options)
        url = f"rediss+cluster://127.0.0.1:{port}?ssl_ca_certs={certificates['ca.pem']}"
        async with pool_to(url) as pool:
            await pool.call("SET", "k", "v")
            assert pool.node_of("k").address.shown == f"rediss://127.0.0.1:{port}"
