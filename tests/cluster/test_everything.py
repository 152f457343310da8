"""What is done to one server is done to a cluster by the same commands and the same Python."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from numpy.typing import NDArray
from zarr.core.sync import sync

import qwf_async
from qwf_async import sources
from qwf_async.layout import LAYOUTS
from tests.support.clusters import Cluster
from tests.support.command import Shell
from tests.support.loads import ask, check_points, contents, ingested, leave_unfinished, published, wave
from tests.support.zarrs import dask_array, opened, put

PSI = wave(3, 30, 20, 10)
FORMS: dict[str, dict[str, Any]] = {
    f"{layout}-{codec}": {"layout": layout, "codec": codec}
    for layout, kind in LAYOUTS.items()
    for codec in kind.codecs
} | {"small": {"slab": (2, 4, 3, 10)}, "one-hash": {"slab": "all"}}


def rounded(psi: NDArray[np.complex128], codec: str) -> NDArray[Any]:
    if codec == "text10":
        return np.round(psi.real, 10) + 1j * np.round(psi.imag, 10)
    return psi.astype(np.complex64) if codec == "c8" else psi


@pytest.fixture(scope="module", autouse=True)
def _zarr_loop() -> None:
    """Zarr's event loop, which stays: started before what a test leaves open is counted."""
    sync(anyio.lowlevel.checkpoint())


@pytest.fixture
def shell(cluster: Cluster, tmp_path: Path) -> Shell:
    """A shell where psi.npy is, and QWF_URL names one node of an empty cluster."""
    np.save(tmp_path / "psi.npy", PSI)
    return Shell.at(tmp_path, QWF_URL=cluster.url)


def keys_of_nodes(cluster: Cluster, pattern: str) -> list[int]:
    """How many keys of a pattern each primary has."""
    found = []
    for node in cluster.primaries:
        with node.plain as client:
            found.append(len(client.keys(pattern)))
    return found


@pytest.mark.anyio
async def test_every_form_is_stored_and_read_back(each_cluster: Cluster) -> None:
    box, places = np.s_[0:2, 1:29:3, :, 2], [(0, 0, 0, 0), (29, 19, 9, 2), (3, 4, 5, 1)]
    async with qwf_async.connect(each_cluster.url) as store:
        for name, form in FORMS.items():
            report = await qwf_async.ingest(sources.array(PSI), store, name, verify=True, **form)
            assert report.verified
            wavefunction = await store.open(name)
            wanted = rounded(PSI, report.codec)
            np.testing.assert_array_equal(await wavefunction.read[...], wanted)
            np.testing.assert_array_equal(await wavefunction.read[box], wanted[box])
            read = await wavefunction.read_points(places)
            assert list(read) == [wanted[t, x, y, z] for x, y, z, t in places]
            if report.layout == "flat":
                check_points(each_cluster, PSI, name, codec=report.codec)
        assert {entry.name for entry in await store.entries()} == set(FORMS)
        assert min(keys_of_nodes(each_cluster, "qwf:small:*")) > 0
        for name in FORMS:
            assert await store.remove(name)
        await store.clean()
    assert contents(each_cluster) == {}


def test_the_commands_load_show_read_and_remove(shell: Shell) -> None:
    ingest = ["ingest", "psi.npy", "--slab", "4x3x10x2", "--verify", "--json", "-q"]
    loaded, listed, told, got, cut, checked, removed, empty = shell.each(
        ingest,
        ["ls", "--json"],
        ["info", "psi", "--json"],
        ["get", "psi", "29", "19", "9", "-t", "2", "--json"],
        ["slice", "psi", "0:2,1:29:3,:,2", "-o", "part.npy"],
        ["verify", "psi", "psi.npy", "-q"],
        ["rm", "psi"],
        ["ls", "--json"],
    )
    for outcome in (loaded, listed, told, got, cut, checked, removed, empty):
        assert outcome.status == 0, outcome.err
    assert json.loads(loaded.out)["verified"] is True
    assert [row["name"] for row in json.loads(listed.out)] == ["psi"]
    assert json.loads(told.out)["points"] == PSI.size
    (point,) = json.loads(got.out)
    assert complex(point["re"], point["im"]) == PSI[2, 29, 19, 9]
    np.testing.assert_array_equal(np.load(shell.directory / "part.npy"), PSI[0:2, 1:29:3, :, 2])
    assert json.loads(empty.out) == []


def test_points_and_boxes_are_changed_in_place(cluster: Cluster, shell: Shell) -> None:
    loads = [["ingest", "psi.npy", "--layout", layout, "--name", layout] for layout in LAYOUTS]
    changes = [["set", layout, "3", "4", "5", "-t", "1", "--value", "0.5,-0.25"] for layout in LAYOUTS]
    for outcome in shell.each(*loads, *changes):
        assert outcome.status == 0, outcome.err
    wanted = PSI.copy()
    wanted[1, 3, 4, 5] = 0.5 - 0.25j
    wanted[:, 5:25, 3, :] = 1j

    async def work() -> None:
        async with qwf_async.connect(cluster.url) as store:
            for layout in LAYOUTS:
                wavefunction = await store.open(layout)
                await wavefunction.update_region(np.s_[:, 5:25, 3, :], np.full((3, 20, 10), 1j))
                np.testing.assert_array_equal(await wavefunction.read[...], wanted)
                places = [(0, 0, 0, 0), (29, 19, 9, 2), (3, 4, 5, 1)]
                read = await wavefunction.read_points(places)
                assert list(read) == [wanted[t, x, y, z] for x, y, z, t in places]

    anyio.run(work)
    check_points(cluster, wanted, "flat")


@pytest.mark.anyio
async def test_a_load_that_ended_early_is_resumed(each_cluster: Cluster) -> None:
    source = sources.array(PSI)
    await leave_unfinished(each_cluster, source, 9000, slab=(2, 4, 3, 10))
    report = await ingested(each_cluster, source, slab=(2, 4, 3, 10), resume=True)
    assert report.points == PSI.size
    check_points(each_cluster, PSI)


def test_keys_that_nobody_knows_are_found_on_every_node(cluster: Cluster, shell: Shell) -> None:
    assert shell.qwf("ingest", "psi.npy", "--quiet").status == 0
    before = contents(cluster)
    orphans = {f"qwf:gone:{{0123456789abcdef.{number}}}:s" for number in range(30)}
    for key in orphans:
        ask(cluster, "HSET", key, "x", "1")
    assert min(keys_of_nodes(cluster, "qwf:gone:*")) > 0
    listed, removed = shell.each(["clean", "--orphans", "--dry-run", "--json"], ["clean", "--orphans"])
    assert (listed.status, removed.status) == (0, 0), removed.err
    assert all(key in listed.out for key in ("gone", "0123456789abcdef"))
    assert contents(cluster) == before


def test_what_a_source_would_take_is_estimated_and_nothing_is_left(cluster: Cluster, shell: Shell) -> None:
    outcome = shell.qwf("estimate", "psi.npy", "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)
    assert contents(cluster) == {}


def test_the_server_is_described_and_watched(cluster: Cluster, shell: Shell) -> None:
    outcome = shell.qwf("info", "--server", "--json")
    assert outcome.status == 0, outcome.err
    assert "valkey" in outcome.out
    with shell.begin("watch", "--json") as watching:
        assert watching.process.stdout is not None
        first = json.loads(watching.process.stdout.readline())
        watching.signal(signal.SIGTERM)
        ended = watching.end()
    assert len(first["servers"]) == len(cluster.primaries)
    assert sum(each["slots"] for each in first["servers"]) == 16_384
    assert first["totals"]["used"] == sum(each["used"] for each in first["servers"])
    assert (first["away"], first["loads"]) == ([], [])
    assert ended.status == 0, ended.err
    page = shell.qwf("watch", "--once").out.splitlines()
    assert [line.split()[0] for line in page if line.startswith(("all ", "127."))] == [
        "all",
        *(each["where"].partition("://")[2] for each in first["servers"]),
    ]


def test_doctor_looks_at_every_node(cluster: Cluster, shell: Shell) -> None:
    outcome = shell.qwf("doctor", "--json")
    checks = json.loads(outcome.out.splitlines()[0])["checks"]
    texts = {
        subject: [c["text"] for c in checks if c["subject"] == subject] for subject in ("server", "replicas")
    }
    nodes = len(cluster.primaries)
    assert outcome.status != 3, outcome
    assert len(texts["server"]) == nodes
    (cluster_line,) = (check["text"] for check in checks if check["subject"] == "cluster")
    assert cluster_line == f"{nodes} primaries, which have all slots"
    (rights,) = (check["text"] for check in checks if check["subject"] == "rights")
    assert rights == "default may read and write, and all else"
    assert contents(cluster) == {}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_zarr_and_dask_read_what_was_stored(cluster: Cluster, layout: str) -> None:
    with put(cluster, PSI, layout=layout) as store:
        np.testing.assert_array_equal(opened(store)[:], PSI)
        np.testing.assert_array_equal(dask_array(store)[:, 3:9].compute(), PSI[:, 3:9])


def test_an_old_hash_of_a_cluster_is_a_source(cluster: Cluster, shell: Shell) -> None:
    with cluster.plain as client:
        client.hset(
            "old",
            mapping={f"x{x}_y{y}_z0_t0": f"{x}.5,{y}.25" for x in range(5) for y in range(4)},
        )
    outcome = shell.qwf("ingest", "redis-hash:old", "--name", "new", "--quiet")
    assert outcome.status == 0, outcome.err
    assert published(cluster, "new")
    values = shell.qwf("get", "new", "4", "3", "--json")
    (point,) = json.loads(values.out)
    assert complex(point["re"], point["im"]) == 4.5 + 3.25j
