"""Workers of dask in processes of their own: one of them killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import anyio
import dask.array as da
import distributed
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from tests.conftest import Server
from tests.support.chance import new_seed
from tests.support.dask_cluster import awaited, dask_cluster, made
from tests.support.loads import check_alone, held_until
from tests.support.waiting import wait_until

SHAPE, CHUNKS = (6, 16, 16, 16), (1, 8, 16, 16)


def array_of(directory: Path) -> Any:
    chunks = tuple((piece,) * (size // piece) for size, piece in zip(SHAPE, CHUNKS, strict=True))
    return da.map_blocks(made, str(directory), chunks=chunks, dtype=complex, meta=np.empty((0,) * 4, complex))


@pytest.mark.parametrize("kills", [2, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
def test_workers_may_be_killed_while_they_store(server: Server, tmp_path: Path, kills: int) -> None:
    chance = random.Random(new_seed())
    with dask_cluster(2) as scheduler, distributed.Client(scheduler) as client:
        for kill in range(kills):
            client.wait_for_workers(2, timeout=100)
            directory = tmp_path / str(kill)
            directory.mkdir()
            delayed = qwf_async.dask.store(
                array_of(directory), "psi", server.url, compute=False, overwrite=True
            )
            future = client.compute(delayed)
            wait_for_files(directory, chance.randrange(1, 12))
            os.kill(chance.choice(list(client.run(os.getpid).values())), signal.SIGKILL)
            assert future.result(timeout=100).points == np.prod(SHAPE)
            computed = [path.stat().st_size for path in directory.iterdir()]
            assert len(computed) == 12
            assert sum(computed) <= 12 + 12  # what one worker had done, or was at
            assert is_whole(server, array_of(tmp_path))
    check_alone(server)


def test_workers_keep_the_load_of_a_graph_until_it_is_done_or_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QWF_OWNERSHIP_TTL", "1")
    array = da.map_blocks(
        awaited, str(tmp_path), chunks=((2,),) * 4, dtype=complex, meta=np.empty((0,) * 4, complex)
    )
    delayed = qwf_async.dask.store(array, "psi", server.url, compute=False)
    with dask_cluster(2) as scheduler, distributed.Client(scheduler) as client:
        given_up = client.compute(delayed)
        wait_until(lambda: held_until(server))
        before = held_until(server)
        wait_until(lambda: held_until(server) > before)
        given_up.cancel()
        wait_until(lambda: held_until(server) < 1000 * time.time())
        (tmp_path / "go").touch()  # a thread cannot be cancelled
        again = client.compute(qwf_async.dask.store(array, "psi", server.url, compute=False, resume=True))
        assert again.result(timeout=100).points == 16


def wait_for_files(directory: Path, count: int) -> None:
    wait_until(lambda: len(list(directory.iterdir())) >= count)


def is_whole(server: Server, array: Any) -> bool:
    """Whether ψ is what the array is, computed in this process."""
    psi = array.compute(scheduler="sync")

    async def verify() -> bool:
        async with qwf_async.connect(server.url) as store:
            return not (await qwf_async.verify(store, "psi", sources.array(psi))).differing

    return anyio.run(verify)
