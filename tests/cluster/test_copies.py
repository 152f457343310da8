"""Copies, moves and backups from and to a cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from tests.conftest import Server
from tests.support.clusters import Cluster
from tests.support.loads import wave

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

PSI = wave(3, 11, 10, 9)


async def test_a_wavefunction_goes_to_a_cluster_and_back(
    each_cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    async with qwf_async.connect(server.url) as store, qwf_async.connect(each_cluster.url) as cluster:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        await qwf_async.copy(store, "psi", cluster, layout="packed", verify=True)
        await qwf_async.move(cluster, "psi", cluster, "new", layout="tile")
        assert [entry.name for entry in await cluster.entries()] == ["new"]
        await qwf_async.backup(cluster, tmp_path)
        await cluster.remove("new")
        await qwf_async.restore(cluster, tmp_path)
        await qwf_async.move(cluster, "new", store, "back", layout="flat")
        assert np.array_equal(await (await store.open("back")).read[...], PSI)
        assert not await cluster.entries()
