"""The journal of a load: it gives back what was recorded, and what is malformed is named."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pytest

from qwf_async.catalog.journal import ENTRIES_AT_ONCE, JournalEntry
from qwf_async.errors import DamagedData, DataLost, Refused
from qwf_async.lattice.grid import Grid
from qwf_async.layout import Form
from tests.conftest import Server, open_pool
from tests.support.handmade import begin, fields_at, fill, journal_key, manifest

pytestmark = pytest.mark.anyio


async def test_the_journal_gives_back_what_was_recorded(each_server: Server) -> None:
    entries = {
        0: JournalEntry(digest=2**64 - 1, weight=0.1 + 0.2),
        1: JournalEntry(digest=0, weight=5e-324),
        3: JournalEntry(digest=1, weight=float("inf")),
    }
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        assert await load.journal() == {}
        async with pool.connection("") as connection:
            await load.record(entries, connection)
            await load.record({1: entries[1]}, connection)
        assert await load.journal() == entries
        await load.forget([0, 3])
        assert await load.journal() == {1: entries[1]}
    generation = load.manifest.generation
    journals = {
        key.decode(): fields_at(each_server, key.decode())
        for key in each_server.contents()
        if key.endswith(b":j")
    }
    assert journals == {journal_key(generation, group=1): {"1": "0000000000000000 5e-324"}}


@pytest.mark.parametrize("slab", [None, "all"])
async def test_a_journal_of_more_entries_than_are_read_at_a_time_is_read_whole(
    each_server: Server, slab: Literal["all"] | None
) -> None:
    grid = Grid(shape=(1, 2 * ENTRIES_AT_ONCE + 7, 1, 16_384))
    form = Form.of(layout="flat", codec="c16", shape=grid.shape, slab=slab)
    assert len(form.plan) > 2 * ENTRIES_AT_ONCE
    chance = np.random.default_rng(0)
    recorded = np.flatnonzero(chance.random(len(form.plan)) < 0.9).tolist()
    entries = {number: JournalEntry(digest=number, weight=float(number)) for number in recorded}
    async with open_pool(each_server) as pool:
        load = await begin(pool, manifest(form=form, grid=grid))
        async with pool.connection("") as connection:
            await load.record(entries, connection)
        assert await load.journal() == entries
    journals = sum(key.endswith(b":j") for key in each_server.contents())
    assert journals == (1 if slab == "all" else len(entries))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, b""),
        (0, b"00"),
        (0, b"zz 1.0"),
        (3, b"00 one"),
        (2, b"00 \xff"),
        (1, b"00  1.0"),
    ],
)
async def test_a_malformed_journal_is_damage_and_is_named(server: Server, number: int, text: bytes) -> None:
    async with open_pool(server) as pool:
        load = await begin(pool)
        key = journal_key(load.manifest.generation, group=number)
        with server.plain as client:
            client.hset(key, str(number), text)
        with pytest.raises(DamagedData, match=re.escape(f"{key} is not a journal")):
            await load.journal()
        with pytest.raises(DamagedData, match=re.escape(f"{key} is not a journal")):
            await load.publish(None)


@pytest.mark.parametrize("number", ["x", "4", "-1", "00", "1"])
async def test_only_its_own_chunk_is_looked_for_in_the_journal_of_a_group(
    server: Server, number: str
) -> None:
    async with open_pool(server) as pool:
        load = await begin(pool)
        with server.plain as client:
            client.hset(journal_key(load.manifest.generation), number, "00 1.0")
        assert await load.journal() == {}
        await fill(pool, load, [1, 2, 3])
        with pytest.raises(DataLost, match="its journal has holes"):
            await load.publish(None)


async def test_a_journal_key_of_another_type_is_refused_and_named(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        key = journal_key(load.manifest.generation, group=2)
        with each_server.plain as client:
            client.set(key, "in the way")
        with pytest.raises(Refused, match=re.escape(key)):
            await load.journal()
        with pytest.raises(Refused, match=re.escape(key)):
            await fill(pool, load)
        with pytest.raises(Refused, match=f"reading {re.escape(key)}.* a key of another type"):
            await load.publish(None)
