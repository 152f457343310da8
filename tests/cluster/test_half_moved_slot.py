"""One slot stays half moved for ever: what it has is read, written and removed, or it is named with the cure."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.client.slots import slot_of
from qwf_async.errors import ServerUnavailable
from tests.conftest import PATIENCE
from tests.support.cluster_node import ClusterNode
from tests.support.clusters import Cluster
from tests.support.loads import data_keys, group_keys, leave_unfinished, wave
from tests.support.slot_moves import begin_move

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

PSI = wave(12, 10, 10, 10)
SOURCE = sources.array(PSI)
CONTROL = "qwf:{psi}:load"
IMPATIENT = qwf_async.Settings(deadline=0.5)


@contextmanager
def half_moved(cluster: Cluster, slot: int, *keys: str) -> Iterator[None]:
    """During the body a slot is on its way to another node, which has these keys already. Raises if either lost it."""
    source = cluster.node_of_slot(slot)
    target = next(node for node in cluster.primaries if node is not source)
    begin_move(slot, source, target)
    try:
        for key in keys:
            move_key(key, source, target)
        yield
        assert cluster.node_of_slot(slot) is source
    finally:
        source.call("CLUSTER", "SETSLOT", slot, "STABLE")
        for key in target.call("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            move_key(key, target, source)
        target.call("CLUSTER", "SETSLOT", slot, "STABLE")


def move_key(key: str | bytes, source: ClusterNode, target: ClusterNode) -> None:
    source.call("MIGRATE", "127.0.0.1", target.port, key, 0, 60_000)


def message_about(slot: int) -> str:
    return rf"redis-cli --cluster fix.*{slot}|{slot}.*redis-cli --cluster fix"


@pytest.mark.parametrize("moved", ["j", "s"])
async def test_a_load_is_finished_read_and_removed(each_cluster: Cluster, moved: str) -> None:
    cluster = each_cluster
    await leave_unfinished(cluster, SOURCE, 6000)
    key = group_keys(cluster, moved, of="load")[0]
    with half_moved(cluster, slot_of(key), key), anyio.fail_after(PATIENCE):
        async with qwf_async.connect(cluster.url) as store:
            report = await qwf_async.ingest(SOURCE, store, "psi", resume=True, verify=True)
            assert report.resumed_chunks >= 6
            psi = await store.open("psi")
            np.testing.assert_array_equal(await psi.read[...], PSI)
            points = [(5, 5, 5, t) for t in range(12)]
            np.testing.assert_array_equal(await psi.read_points(points), PSI[:, 5, 5, 5])
            assert not (await qwf_async.verify(store, "psi")).differences
            assert await store.remove("psi")
            assert not await store.orphans(remove=True)
    assert not cluster.contents()


async def test_all_chunks_of_a_slot_may_be_written_while_it_is_on_its_way(each_cluster: Cluster) -> None:
    cluster = each_cluster
    await leave_unfinished(cluster, SOURCE, 6000)
    generation = group_keys(cluster, "j", of="load")[0].split("{")[1].split(".")[0]
    last = f"qwf:psi:{{{generation}.11}}:j"
    cluster.node_of(last).call("UNLINK", last, f"{last[:-1]}s")
    with half_moved(cluster, slot_of(last)), anyio.fail_after(PATIENCE):
        async with qwf_async.connect(cluster.url) as store:
            await qwf_async.ingest(SOURCE, store, "psi", resume=True)
            psi = await store.open("psi")
            await psi.update_region(np.s_[11], PSI[11])
            np.testing.assert_array_equal(await psi.read[...], PSI)
            assert (await qwf_async.verify(store, "psi")).changed == [11]
            await qwf_async.ingest(SOURCE, store, "psi", overwrite=True)
            assert await store.remove("psi")
    assert not cluster.contents()


async def test_a_chunk_that_lies_on_both_sides_is_not_changed_and_its_slot_is_named(
    each_cluster: Cluster,
) -> None:
    cluster = each_cluster
    async with qwf_async.connect(cluster.url, settings=IMPATIENT) as store:
        await qwf_async.ingest(SOURCE, store, "psi")
        key = data_keys(cluster)[3]
        with half_moved(cluster, slot_of(key), key):
            psi = await store.open("psi")
            with pytest.raises(ServerUnavailable, match=message_about(slot_of(key))):
                await psi.update_region(np.s_[3], PSI[3])
            np.testing.assert_array_equal(await psi.read[...], PSI)
        assert not (await qwf_async.verify(store, "psi")).changed


@pytest.mark.parametrize("step", ["begin", "publish", "read"])
async def test_the_slot_of_the_control_keys_is_named_with_the_cure(each_cluster: Cluster, step: str) -> None:
    cluster, slot = each_cluster, slot_of(CONTROL)
    if step == "publish":
        await leave_unfinished(cluster, SOURCE, 6000)
    async with qwf_async.connect(cluster.url, settings=IMPATIENT) as store:
        if step == "read":
            await qwf_async.ingest(SOURCE, store, "psi")
        job: Awaitable[Any] = (
            store.open("psi") if step == "read" else qwf_async.ingest(SOURCE, store, "psi", resume=True)
        )
        with half_moved(cluster, slot), pytest.raises(ServerUnavailable) as raised:
            await job
        assert raised.value.exit_code == 3
        assert re.search(message_about(slot), str(raised.value))
        await qwf_async.ingest(SOURCE, store, "psi", resume=True)
        np.testing.assert_array_equal(await (await store.open("psi")).read[...], PSI)
