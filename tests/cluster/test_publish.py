"""Publishing on a cluster whose primaries die meanwhile: nothing with holes, and all of it in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog import scripts
from qwf_async.catalog.journal import read_journal_over
from qwf_async.catalog.load import Load
from qwf_async.settings import Settings
from tests.cluster.conftest import OwnCluster
from tests.support.cluster_node import ClusterNode, wait_until
from tests.support.clusters import Cluster
from tests.support.loads import Events, check_points, wave
from tests.support.slot_moves import begin_move

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]
PSI = wave(60, 10, 10, 10)
SOURCE = sources.array(PSI)
CHUNKS = 60
SENT_AGAIN = "were lost before they were published: sent again"
FAST = {"cluster-node-timeout": "1000", "repl-diskless-sync-delay": "0"}


def once(happens: Callable[[], object], job: Callable[..., Any]) -> Callable[..., Any]:
    """The job, which lets something happen after its first time."""
    left = [happens]

    async def done_and_then(*arguments: Any, **options: Any) -> Any:
        result = await job(*arguments, **options)
        if left:
            left.pop()()
        return result

    return done_and_then


def in_step(primary: ClusterNode, replica: ClusterNode) -> None:
    """Wait until a replica has all that its primary has."""

    def offset(node: ClusterNode) -> Any:
        with node.plain as client:
            return client.info("replication")["master_repl_offset"]

    wait_until(lambda: offset(replica) == offset(primary), "the replica is in step")


def settings_of(cluster: Cluster, **more: Any) -> Settings:
    return Settings(url=cluster.url, **more)


@pytest.mark.parametrize("software", ["valkey", "redis"])
@pytest.mark.parametrize("what", ["data", "control"])
async def test_a_primary_that_is_killed_with_a_replica_that_lags(
    own_cluster: OwnCluster, software: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its replica stands still once the load has begun, so all that it was given is lost with it."""
    cluster = own_cluster(software, 3, 1, **FAST)
    control = cluster.node_of("{psi}")
    lost = next(node for node in cluster.primaries if (node is control) == (what == "control"))
    replica = cluster.replica_of(lost)
    events = Events()

    def kill() -> None:
        cluster.kill(lost)
        cluster.go_on(replica)

    def stop_replica() -> None:
        in_step(lost, replica)
        cluster.stop(replica)
        lost.call(
            "CLIENT", "KILL", "TYPE", "replica"
        )  # else what is given fits into the buffers of its socket

    read = once(kill, Load.journal)
    monkeypatch.setattr(Load, "begin", once(stop_replica, Load.begin))
    monkeypatch.setattr(Load, "journal", read)
    async with qwf_async.connect(settings=settings_of(cluster)) as store:
        report = await qwf_async.ingest(SOURCE, store, "psi", hooks=(events,))
        assert report.points == PSI.size
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)
    check_points(cluster, PSI)
    assert any(SENT_AGAIN in text for text in events.warnings)


@pytest.mark.parametrize("software", ["valkey", "redis"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_primary_of_the_control_keys_is_killed_beside_the_script(
    own_cluster: OwnCluster, software: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = own_cluster(software, 3, 1, **FAST)
    control = cluster.node_of("{psi}")
    heir = cluster.replica_of(control)
    publish = scripts.publish

    async def kill_and_publish(*arguments: Any, **options: Any) -> Any:
        in_step(control, heir)
        monkeypatch.setattr(scripts, "publish", publish)
        cluster.kill(control)
        return await publish(*arguments, **options)

    async def publish_and_kill(*arguments: Any, **options: Any) -> Any:
        in_step(control, heir)
        cluster.stop(heir)
        monkeypatch.setattr(scripts, "publish", publish)
        outcome = await publish(*arguments, **options)
        cluster.kill(control)
        cluster.go_on(heir)
        return outcome

    monkeypatch.setattr(scripts, "publish", kill_and_publish if when == "before" else publish_and_kill)
    async with qwf_async.connect(settings=settings_of(cluster)) as store:
        report = await qwf_async.ingest(SOURCE, store, "psi")
        assert (await store.open("psi")).manifest.generation == report.generation
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)
    check_points(cluster, PSI)


@pytest.mark.parametrize("software", ["valkey", "redis"])
async def test_data_that_left_their_journal_for_a_node_that_died_are_sent_again(
    own_cluster: OwnCluster, software: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot is moved key by key, and is taken back when its target came up empty: the journal did not move."""
    cluster = own_cluster(software, 3, 0, **FAST | {"cluster-node-timeout": "15000"})
    control = cluster.node_of("{psi}")
    target, source = (node for node in cluster.primaries if node is not control)
    events = Events()

    def part() -> None:
        with source.plain as client:
            data = client.keys("qwf:psi:*:s")[0].decode()
        slot = source.call("CLUSTER", "KEYSLOT", data)
        begin_move(slot, source, target)
        source.call("MIGRATE", "127.0.0.1", target.port, data, 0, 60_000)
        cluster.restart(target)
        for node in (source, target):
            node.call("CLUSTER", "SETSLOT", slot, "STABLE")
        with source.plain as client:
            assert not client.exists(data)
            assert client.exists(data.removesuffix("s") + "j")

    monkeypatch.setattr(Load, "journal", once(part, Load.journal))
    async with qwf_async.connect(settings=settings_of(cluster)) as store:
        await qwf_async.ingest(SOURCE, store, "psi", hooks=(events,))
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)
    check_points(cluster, PSI)
    assert any(SENT_AGAIN in text for text in events.warnings)


@pytest.mark.parametrize("software", ["valkey", "redis"])
async def test_a_primary_that_comes_back_empty_while_its_journal_is_read(
    own_cluster: OwnCluster, software: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = own_cluster(software, 3, 0, **FAST | {"cluster-node-timeout": "15000"})
    control = cluster.node_of("{psi}")
    lost = next(node for node in cluster.primaries if node is not control)
    events = Events()
    read = once(lambda: cluster.restart(lost), read_journal_over)
    monkeypatch.setattr("qwf_async.catalog.confirmation.read_journal_over", read)
    async with qwf_async.connect(settings=settings_of(cluster)) as store:
        await qwf_async.ingest(SOURCE, store, "psi", hooks=(events,))
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)
    check_points(cluster, PSI)
    assert any(SENT_AGAIN in text for text in events.warnings)


async def test_nodes_get_even_shares_of_chunks(each_cluster: Cluster) -> None:
    async with qwf_async.connect(each_cluster.url) as store:
        for number in range(5):
            await qwf_async.ingest(SOURCE, store, f"psi{number}")
    for number in range(5):
        counts = []
        for node in each_cluster.primaries:
            with node.plain as client:
                counts.append(len(client.keys(f"qwf:psi{number}:*:s")))
        assert sum(counts) == CHUNKS
        assert max(counts) <= 1.15 * CHUNKS / 3
