"""The journal of a load: it gives back what was recorded, and what is malformed is named."""

from __future__ import annotations

import pytest

from qwf_async.catalog.journal import JournalEntry
from qwf_async.errors import DamagedData, Refused
from tests.conftest import Server, open_pool
from tests.support.handmade import KEYS, begin, fields_at, fill

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
        async with pool.connection() as connection:
            await load.record(entries, connection)
            await load.record({1: entries[1]}, connection)
        assert await load.journal() == entries
        await load.forget([0, 3])
        assert await load.journal() == {1: entries[1]}
    raw = fields_at(each_server, KEYS.journal(load.manifest.generation))
    assert raw == {"1": "0000000000000000 5e-324"}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("x", "00 1.0"),
        ("0", ""),
        ("0", "00"),
        ("0", "zz 1.0"),
        ("0", "00 one"),
        ("4", "00 1.0"),
        ("-1", "00 1.0"),
    ],
)
async def test_a_malformed_journal_is_damage_and_is_named(server: Server, number: str, text: str) -> None:
    async with open_pool(server) as pool:
        load = await begin(pool)
        key = KEYS.journal(load.manifest.generation)
        with server.plain as client:
            client.hset(key, number, text)
        with pytest.raises(DamagedData, match=key):
            await load.journal()


async def test_a_journal_key_of_another_type_is_refused_and_named(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        key = KEYS.journal(load.manifest.generation)
        with each_server.plain as client:
            client.set(key, "in the way")
        with pytest.raises(Refused, match=key):
            await load.journal()
        with pytest.raises(Refused, match=key):
            await fill(pool, load)
        with pytest.raises(Refused, match=f"publishing psi .*{key}.* a key of another type"):
            await load.publish(None)
