"""One node of three away, full or moving slots: its chunks wait, the others' go on, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import numpy as np
import pytest
from anyio.to_thread import run_sync

import qwf_async
from qwf_async import sources
from qwf_async.errors import OutOfMemory
from qwf_async.events import Event, GateMoved, Progress, Spooled
from qwf_async.lattice.grid import Box
from tests.cluster.conftest import OwnCluster
from tests.conftest import PATIENCE
from tests.support.cluster_node import ClusterNode, wait_until
from tests.support.clusters import Cluster
from tests.support.loads import Watched, check_points, wave
from tests.support.slot_moves import begin_move, move_keys

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

CHUNKS, POINTS = 60, 1000
PSI = wave(CHUNKS, 10, 10, 10)
RECORD = "qwf:{psi}:load"
ALONE = {"cluster-require-full-coverage": "no"}
"""A node that is away takes its own slots away, and not the whole cluster."""


@dataclass(slots=True)
class Run:
    """An ingest into a cluster, paced so that something can be done in the middle of it."""

    cluster: Cluster
    settings: dict[str, Any] = field(default_factory=dict)
    rate: float = 30_000
    points: int = 0
    events: list[Event] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    report: qwf_async.Report | None = None

    def hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Progress):
            self.points = event.points

    def note_read(self, box: Box) -> None:
        self.reads.append(box.start[0])

    async def ingest(self) -> None:
        source = Watched(source=sources.array(PSI), before=self.note_read)
        settings = qwf_async.Settings(deadline=PATIENCE, gate_timeout=PATIENCE, **self.settings)
        async with qwf_async.connect(self.cluster.url, settings=settings) as store:
            self.report = await qwf_async.ingest(source, store, "psi", max_rate=self.rate, hooks=(self.hear,))
            psi = await store.open("psi")
            np.testing.assert_array_equal(await psi.read[...], PSI)

    async def while_it_runs(self, disturb: Callable[[], None]) -> None:
        """Ingest, and disturb it when a sixth is stored; both must end, and then all is there."""
        with anyio.fail_after(2 * PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.ingest)
                await run_sync(partial(wait_until, lambda: self.points >= CHUNKS * POINTS // 6, "a sixth"))
                await run_sync(disturb)
        assert self.report is not None
        await run_sync(check_points, self.cluster, PSI)

    def keys(self) -> list[str]:
        """The keys of the journals of the load under way."""
        with self.cluster.node_of(RECORD).plain as client:
            generation = client.hget(RECORD, "generation")
        return [f"qwf:psi:{{{generation.decode()}.{number}}}:j" for number in range(CHUNKS)]

    def slots_of(self, node: ClusterNode) -> list[int]:
        """The slots of a node that chunks have, but for that of the record."""
        slots = {self.cluster.living[0].call("CLUSTER", "KEYSLOT", key) for key in (RECORD, *self.keys())}
        record = self.cluster.living[0].call("CLUSTER", "KEYSLOT", RECORD)
        return sorted(slots & set(self.cluster.slots(node)) - {record})

    def chunks_of(self, node: ClusterNode) -> set[int]:
        """The chunks that belong to a node."""
        return {number for number, key in enumerate(self.keys()) if self.cluster.node_of(key) is node}

    def stored_on(self, node: ClusterNode) -> int:
        """How many chunks the journals on a node have."""
        with node.plain as client:
            return sum(1 for _ in client.scan_iter("qwf:psi:*:j", 1000))

    def others_end(self, node: ClusterNode) -> None:
        """Wait until all other nodes have all of theirs."""
        others = {other: len(self.chunks_of(other)) for other in self.cluster.nodes if other is not node}

        def have_all() -> bool:
            return all(self.stored_on(other) == count for other, count in others.items())

        wait_until(have_all, "the others have all of theirs")
        assert self.report is None


def a_node(cluster: Cluster, *, with_record: bool) -> ClusterNode:
    """The node that has the load's record, or another."""
    control = cluster.node_of(RECORD)
    return control if with_record else next(node for node in cluster.primaries if node is not control)


@pytest.mark.parametrize("software", ["valkey", "redis"])
async def test_a_node_is_killed_and_comes_back_empty(own_cluster: OwnCluster, software: str) -> None:
    cluster = own_cluster(software, replicas=0, **ALONE)
    node, run = a_node(cluster, with_record=False), Run(cluster, {"spool_limit": 0})

    def disturb() -> None:
        cluster.kill(node)
        run.others_end(node)
        cluster.restart(node)

    await run.while_it_runs(disturb)
    assert not [event for event in run.events if isinstance(event, Spooled) and event.chunks]


@pytest.mark.parametrize("with_record", [False, True])
async def test_a_node_stands_still_and_its_chunks_go_through_the_spool(
    own_cluster: OwnCluster, with_record: bool
) -> None:
    cluster = own_cluster(replicas=0, **ALONE)
    node, run = a_node(cluster, with_record=with_record), Run(cluster, {"spool_after": 0.5}, 10_000)
    most = CHUNKS

    def disturb() -> None:
        nonlocal most
        most = len(run.chunks_of(node))
        others = [(other, len(run.chunks_of(other))) for other in cluster.nodes if other is not node]
        cluster.stop(node)
        wait_until(lambda: run.points == CHUNKS * POINTS, "everything is safe")
        assert [run.stored_on(other) for other, _ in others] == [count for _, count in others]
        assert run.report is None
        cluster.go_on(node)

    await run.while_it_runs(disturb)
    assert run.report is not None
    assert 0 < run.report.spooled_chunks <= most
    assert max(event.chunks for event in run.events if isinstance(event, Spooled)) <= most


async def test_a_node_is_full_and_its_chunks_wait_for_room(own_cluster: OwnCluster) -> None:
    cluster = own_cluster(replicas=0)
    node, run = a_node(cluster, with_record=False), Run(cluster)

    def disturb() -> None:
        with node.plain as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"])
            run.others_end(node)
            client.config_set("maxmemory", 0)

    await run.while_it_runs(disturb)
    moves = [event for event in run.events if isinstance(event, GateMoved)]
    assert {event.shut for event in moves} == {True, False}
    assert all(node.address in event.reason for event in moves)


async def test_a_node_that_stays_full_is_named(own_cluster: OwnCluster) -> None:
    cluster = own_cluster(replicas=0)
    node = a_node(cluster, with_record=False)
    with node.plain as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 1_000_000)
    settings = qwf_async.Settings(gate_timeout=0.5)
    async with qwf_async.connect(cluster.url, settings=settings) as store:
        with pytest.raises(OutOfMemory, match=node.address):
            await qwf_async.ingest(sources.array(PSI), store, "psi", force=True)


async def test_chunks_of_a_node_that_is_away_are_not_read_before_those_of_the_others(
    own_cluster: OwnCluster,
) -> None:
    cluster = own_cluster(replicas=0, **ALONE)
    node, run = a_node(cluster, with_record=False), Run(cluster, {"spool_after": PATIENCE})
    last = 0

    def disturb() -> None:
        nonlocal last
        of_node = run.chunks_of(node)
        cluster.kill(node)
        begun = len(run.reads)
        run.others_end(node)
        last = len([number for number in run.reads[begun:] if number in of_node])
        cluster.restart(node)

    await run.while_it_runs(disturb)
    assert last <= 8  # what was under way until the first attempt had failed


@pytest.mark.parametrize("way", ["keys", "atomic"])
async def test_slots_move_while_a_load_runs(own_cluster: OwnCluster, way: Any) -> None:
    cluster = own_cluster(replicas=0)
    run = Run(cluster)

    def disturb() -> None:
        source, target = cluster.nodes[0], cluster.nodes[1]
        cluster.move_slots(run.slots_of(source)[:12], source, target, way)
        assert run.report is None

    await run.while_it_runs(disturb)


@pytest.mark.parametrize("software", ["valkey", "redis"])
async def test_slots_are_on_their_way_until_all_is_written(own_cluster: OwnCluster, software: str) -> None:
    cluster = own_cluster(software, replicas=0)
    source, target = cluster.nodes[0], cluster.nodes[1]
    run = Run(cluster)

    def disturb() -> None:
        slots = run.slots_of(source)
        for slot in slots:
            begin_move(slot, source, target)
        wait_until(lambda: run.points == CHUNKS * POINTS, "everything is written")
        assert run.stored_on(target) > len(run.chunks_of(target))
        for slot in slots:
            move_keys(slot, source, target)
            cluster.end_move(slot, target)
        assert cluster.node_of_slot(slots[-1]) is target

    await run.while_it_runs(disturb)


@pytest.mark.parametrize("with_record", [False, True])
async def test_a_replica_takes_over_and_what_it_lacked_is_sent_again(
    own_cluster: OwnCluster, with_record: bool
) -> None:
    cluster = own_cluster()
    node, run = a_node(cluster, with_record=with_record), Run(cluster)

    def disturb() -> None:
        replica = cluster.replica_of(node)
        cluster.stop(replica)  # it lags behind
        at = run.points
        wait_until(lambda: run.points >= at + 10 * POINTS, "ten chunks more")
        cluster.kill(node)
        cluster.go_on(replica)
        cluster.failover_done(node)

    await run.while_it_runs(disturb)
