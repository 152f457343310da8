"""What is asked of a server as such is asked of every node of a cluster, and what is said of one names it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import OutOfMemory, Refused
from qwf_async.events import ServerFacts
from qwf_async.server.acl import reader, writer
from qwf_async.server.policy import different_software
from tests.support.cluster_node import ClusterNode
from tests.support.clusters import Cluster
from tests.support.command import Shell
from tests.support.loads import Events, contents, wave

pytestmark = pytest.mark.anyio

PSI = wave(3, 30, 20, 10)


@contextmanager
def configured(nodes: list[ClusterNode], setting: str, value: str, before: str) -> Iterator[None]:
    """Nodes with another setting within the body."""
    for node in nodes:
        node.call("CONFIG", "SET", setting, value)
    try:
        yield
    finally:
        for node in nodes:
            node.call("CONFIG", "SET", setting, before)


def notes(events: Events) -> list[str]:
    return [event.text for event in events.all if hasattr(event, "text")]


async def test_each_node_is_described_beside_the_sums(cluster: Cluster) -> None:
    async with qwf_async.connect(cluster.url) as store:
        info = await store.server_info()
    rows: list[dict[str, Any]] = info["nodes"]
    assert {row["where"] for row in rows} == {node.url for node in cluster.primaries}
    assert [sum(row[name] for row in rows) for name in ("used", "slots")] == [info["used"], 16384]


async def test_what_is_unfit_is_said_of_the_node_and_cured_there(cluster: Cluster) -> None:
    one = cluster.primaries[0]
    events = Events()
    with (
        configured([one], "maxmemory-policy", "allkeys-lru", "noeviction"),
        configured(cluster.primaries, "maxmemory", "0", "0"),
    ):
        async with qwf_async.connect(cluster.url) as store:
            with pytest.raises(OutOfMemory, match=f"{one.url}: maxmemory-policy allkeys-lru"):
                await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=(events,))
            assert contents(cluster) == {}
            await qwf_async.ingest(sources.array(PSI), store, "psi", configure_server=True, hooks=(events,))
        assert f"{one.url}: set maxmemory-policy noeviction" in notes(events)
        assert any(text.startswith("all 3 nodes: set maxmemory ") for text in notes(events))


async def test_a_node_without_room_for_its_share_is_named(cluster: Cluster) -> None:
    one, *others = cluster.primaries
    with configured([one], "maxmemory", "3mb", "0"), configured(others, "maxmemory", "1gb", "0"):
        async with qwf_async.connect(cluster.url) as store:
            large = sources.array(wave(1, 100, 100, 20))
            with pytest.raises(OutOfMemory, match=rf"will need .* more on {one.url}, \d+ % of all"):
                await qwf_async.ingest(large, store, "psi")
    assert contents(cluster) == {}


async def test_restore_is_tried_on_each_node_and_the_one_that_refuses_is_named(cluster: Cluster) -> None:
    one = cluster.primaries[0]
    events = Events()
    one.call("ACL", "SETUSER", "default", "-restore")
    try:
        async with qwf_async.connect(cluster.url) as store:
            with pytest.raises(Refused, match=one.url):
                await qwf_async.ingest(
                    sources.array(PSI), store, "psi", layout="packed", write_mode="restore"
                )
            await qwf_async.ingest(sources.array(PSI), store, "psi", layout="packed", hooks=(events,))
    finally:
        one.call("ACL", "SETUSER", "default", "+restore")
    (note,) = (text for text in notes(events) if text.startswith("writing by HSET"))
    assert one.url in note


async def test_durability_is_that_of_the_weakest_node(cluster: Cluster) -> None:
    one, *others = cluster.primaries
    async with qwf_async.connect(cluster.url) as store:
        with configured(others, "appendonly", "yes", "no"):
            assert await store.secure() == f"memory on {one.url}"
            with configured([one], "appendonly", "yes", "no"):
                assert await store.secure() == "aof (synced)"
    assert contents(cluster) == {}


async def test_users_with_exactly_the_rights_that_are_printed(each_cluster: Cluster) -> None:
    for node in each_cluster.primaries:
        node.call("ACL", "SETUSER", "qwf", *writer("qwf"), ">sesame")
        node.call("ACL", "SETUSER", "qwf-reader", *reader("qwf"), ">sesame")
    place = each_cluster.living[0].address
    try:
        async with (
            qwf_async.connect(f"redis://qwf:sesame@{place}") as store,
            qwf_async.connect(f"redis://qwf-reader:sesame@{place}") as other,
        ):
            for layout in ("flat", "packed", "tile"):
                report = await qwf_async.ingest(sources.array(PSI), store, layout, layout=layout)
                assert report.points == PSI.size
                stored = await other.open(layout)
                np.testing.assert_array_equal(await stored.read[...], PSI)
                with pytest.raises(Refused, match="permission"):
                    await stored.update(1, value=2)
                assert await store.remove(layout)
    finally:
        for node in each_cluster.primaries:
            node.call("ACL", "DELUSER", "qwf", "qwf-reader")
    assert contents(each_cluster) == {}


def test_where_prints_what_a_shell_can_run(cluster: Cluster, tmp_path: Path) -> None:
    np.save(tmp_path / "psi.npy", PSI)
    shell = Shell.at(tmp_path, QWF_URL=cluster.url)
    assert shell.qwf("ingest", "psi.npy", "--slab", "4x3x10x2", "--quiet").status == 0
    for x, y in ((0, 0), (29, 19), (11, 7), (17, 3)):
        facts = json.loads(shell.qwf("where", "psi", str(x), str(y), "5", "-t", "1", "--json").out)
        command = f"{facts['command']} | {facts['shell']}"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        assert complex(*map(float, done.stdout.split())) == PSI[1, x, y, 5]
        assert " -c " in facts["command"]


def test_nodes_of_different_software_are_named() -> None:
    same = [ServerFacts(where=f"r{number}", software="redis", version="7.0.15") for number in range(5)]
    assert different_software(same) is None
    text = different_software([*same, ServerFacts(where="v", software="valkey", version="9.1.2")])
    assert text is not None
    assert text.endswith("redis 7.0.15 (r0, r1, r2 and 2 more); valkey 9.1.2 (v)")
