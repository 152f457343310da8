"""What others read of a load while a simulation or many producers write it."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.errors import Refused, UnknownName
from qwf_async.lattice.selection import Selection
from qwf_async.store.unpublished import LoadGone, LoadPublished, Unpublished, open_load
from tests.conftest import Server
from tests.support.loads import wave
from tests.support.producers import BLOCKS, GRID, block_of, whole
from tests.support.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]


async def read(load: Unpublished, index: Any = ...) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    return await load.read_selection(Selection.of(load.manifest.grid.shape, index))


async def test_frames_of_a_simulation_appear_one_by_one_until_they_are_published(server: Server) -> None:
    psi = wave(6, 10, 10, 10)
    grid = qwf_async.Grid.of((10, 10, 10), frames=6)
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(LoadGone, match="no load of psi is under way"):
            await open_load(store, "psi")
        async with qwf_async.create(store, "psi", grid) as writer:
            await writer.write(psi[0])
            load = await open_load(store, "psi")
            for number in range(1, 6):
                await until(partial(lambda n: writer.missing_frames()[:1] == [n], number))
                values, stored = await read(load)
                assert np.array_equal(stored.all(axis=(1, 2, 3)), np.arange(6) < number)
                assert np.array_equal(values[:number], psi[:number])
                assert not values[number:].any()
                assert await load.done() == pytest.approx(number / 6)
                await writer.write(psi[number])
        with pytest.raises(LoadPublished, match="the load of psi was published meanwhile"):
            await read(load, 0)
        assert isinstance(LoadPublished(""), Refused)
        assert (await store.open("psi")).manifest.generation == load.manifest.generation
        await store.remove("psi")
        with pytest.raises(UnknownName, match="the load of psi was removed meanwhile"):
            await read(load, 0)


async def test_blocks_of_many_producers_are_seen_beside_what_is_published(server: Server) -> None:
    psi, wanted = whole(), np.zeros(GRID.shape, np.bool_)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(wave(*GRID.shape), GRID), store, "psi")
        async with qwf_async.begin(store, "psi", grid=GRID, blocks=BLOCKS, overwrite=True) as shared:
            target = qwf_async.Target(shared.ticket)
            for region in (await shared.missing())[1::3]:
                await anyio.to_thread.run_sync(target.__setitem__, region, block_of(region))
                wanted[region] = True
            values, stored = await read(await open_load(store, "psi"))
            assert np.array_equal(stored, wanted)
            assert np.array_equal(values, np.where(wanted, psi, 0))
