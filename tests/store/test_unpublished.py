"""A load that is not published, read as it comes in: what its journal has, and never a zero that looks stored."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.lattice.selection import Selection
from qwf_async.layout import Slab
from qwf_async.store.unpublished import LoadGone, Unpublished, open_load
from tests.conftest import Served, Server
from tests.store.forms import FORMS
from tests.store.test_read import SHAPE, as_stored, some_index
from tests.support.loads import ask, contents, group_keys, leave_unfinished, wave

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]


async def read(load: Unpublished, index: Any = ...) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    return await load.read_selection(Selection.of(load.manifest.grid.shape, index))


def held_points(server: Served, name: str = "psi") -> NDArray[np.bool_]:
    """Which points the journal has, a chunk at a time, by what plain redis-py reads."""
    with server.plain as client:
        record = client.hgetall(f"qwf:{{{name}}}:load")
        keys = group_keys(server, "j", name, of="load")
        held = {int(chunk) for key in keys for chunk in client.hkeys(key)}
    shape, plan = json.loads(record[b"shape"]), json.loads(record[b"plan"])
    points = np.zeros(shape, np.bool_)
    if plan["kind"] == "range":
        for number in held:
            points.reshape(-1)[number * plan["length"] : (number + 1) * plan["length"]] = True
        return points
    counts = [-(-size // piece) for size, piece in zip(shape, plan["chunk"], strict=True)]
    for number in held:
        place = np.unravel_index(number, counts, order=plan["order"])
        points[
            tuple(slice(int(i) * n, (int(i) + 1) * n) for i, n in zip(place, plan["chunk"], strict=True))
        ] = True
    return points


def forget_some(server: Served, rng: random.Random, share: float) -> None:
    """Take chunks out of the journal, by plain redis-py; of half of them the data, too, as if they had not come yet."""
    with server.plain as client:
        for key in group_keys(server, "j", of="load"):
            for chunk in client.hkeys(key):
                if rng.random() < share:
                    client.hdel(key, chunk)
                    data = [name for name in client.keys(f"{key[:-1]}*") if name != key.encode()]
                    if rng.random() < 0.5 and len(client.hkeys(key)) == 0 and data:
                        client.delete(*data)


@pytest.mark.parametrize(("layout", "codec", "slab"), FORMS)
async def test_what_is_read_is_what_the_journal_has(
    each_server: Server, layout: str, codec: str, slab: Slab | None
) -> None:
    psi, rng = wave(*SHAPE), random.Random(layout + codec)
    await leave_unfinished(each_server, sources.array(psi), psi.size, layout=layout, codec=codec, slab=slab)
    forget_some(each_server, rng, rng.choice([0.2, 0.5, 0.9]))
    await check_reads(each_server, as_stored(psi, codec), [..., (1, 3), *(some_index(rng) for _ in range(6))])


async def check_reads(server: Served, psi: NDArray[Any], indices: Sequence[Any]) -> None:
    """Check what is read of the load of `psi` against the journal, and that nothing on the server changes by that."""
    held, before = held_points(server), contents(server)
    async with qwf_async.connect(server.url) as store:
        load = await open_load(store, "psi")
        for index in indices:
            values, stored = await read(load, index)
            assert values.dtype == load.dtype == psi.dtype
            assert np.array_equal(stored, held[index]), index
            assert np.array_equal(values, np.where(held, psi, 0)[index]), index
        journalled = sum(int(ask(server, "HLEN", key)) for key in group_keys(server, "j", of="load"))
        assert await load.done() == pytest.approx(journalled / len(load.manifest.plan))
    assert contents(server) == before


DATA = {"flat": "s", "packed": "b*", "tile": "t"}


@pytest.mark.parametrize("layout", DATA)
async def test_what_is_gone_from_the_server_is_not_stored_whatever_the_journal_says(
    each_server: Server, layout: str
) -> None:
    psi = wave(*SHAPE)
    await leave_unfinished(each_server, sources.array(psi), psi.size, layout=layout)
    held = held_points(each_server)
    assert held.all()
    with each_server.plain as client:
        generation = client.hget("qwf:{psi}:load", "generation").decode()
        group = min(1, len(group_keys(each_server, "j", of="load")) - 1)
        (key, *_) = sorted(client.keys(f"qwf:psi:{{{generation}.{group}}}:{DATA[layout]}"))
        client.delete(key)
    async with qwf_async.connect(each_server.url) as store:
        values, stored = await read(await open_load(store, "psi"))
    assert 0 < np.count_nonzero(~stored) <= 1100
    assert np.array_equal(values, np.where(stored, psi, 0))


async def test_only_the_chunks_that_are_touched_are_asked_for(own_server: Server) -> None:
    psi = wave(*SHAPE)
    await leave_unfinished(own_server, sources.array(psi), psi.size // 2)
    async with qwf_async.connect(own_server.url) as store:
        load = await open_load(store, "psi")
        await read(load, (0, 0, 0, 0))
        ask(own_server, "CONFIG", "RESETSTAT")
        values, stored = await read(load, (0, slice(2, 4), 1))
        with own_server.plain as client:
            calls = {
                name: stats["calls"]
                for name, stats in client.info("commandstats").items()
                if name.startswith(("cmdstat_h", "cmdstat_eval", "cmdstat_dump"))
            }
        assert stored.all()
        assert np.array_equal(values, psi[0, 2:4, 1])
        assert calls == {
            "cmdstat_hmget": 2,
            "cmdstat_hget": 1,
        }  # journal, points, and whether it is under way
        _, stored = await read(load, 2)
        assert np.array_equal(stored, held_points(own_server)[2])


async def test_a_load_that_is_discarded_or_begun_anew_is_gone(server: Server) -> None:
    psi = wave(*SHAPE)
    await leave_unfinished(server, sources.array(psi), 1000)
    async with qwf_async.connect(server.url) as store:
        load = await open_load(store, "psi")
        await leave_unfinished(server, sources.array(psi), 1000, discard=True)
        with pytest.raises(LoadGone):
            await read(load)
        load = await open_load(store, "psi")
        await store.remove("psi")
        with pytest.raises(LoadGone):
            await load.done()
