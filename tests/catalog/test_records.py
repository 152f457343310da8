"""The records of a load on the server: its journal, and what is there that is malformed or not ours."""

from __future__ import annotations

import json

import pytest

from qwf_async.catalog.journal import JournalEntry
from qwf_async.catalog.name_state import read_state
from qwf_async.catalog.owner import Owner
from qwf_async.errors import DamagedData, QwfError, Refused
from tests.conftest import Server, open_pool
from tests.support.handmade import KEYS, begin, fields_at, fill, manifest

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


@pytest.mark.parametrize("what", ["meta", "load"])
@pytest.mark.parametrize(
    "foreign",
    [
        {"hello": "world"},
        {"format": "one"},
        {"format": "2"},
        {"shape": "[0, 1, 1, 1]"},
        {"shape": "[Infinity, 1, 1, 1]"},
        {"shape": f"[{10**400}, 1, 1, 1]"},
        {"axes": "[]"},
        {"axes": '"txyz"'},
        {"axes": json.dumps([{"origin": 10**400, "step": 1.0, "unit": None, "periodic": True}] * 4)},
        {"plan": "{}"},
        {"plan": '{"chunk": [9, 9, 9, 9], "order": "C"}'},
        {"plan": "not json"},
        {"codec": "c32"},
        {"layout": "spiral"},
        {"parameters": "[]"},
        {"parameters": '{"tile": [4, 4, Infinity]}'},
        {"norm": "large"},
        {"owner_pid": "x"},
        {"owner_deadline": ""},
    ],
)
async def test_a_foreign_hash_in_the_way_is_damage_and_is_named(
    server: Server, what: str, foreign: dict[str, str]
) -> None:
    key = KEYS.control(what)
    fields: dict[str, str] = manifest().to_fields()
    if what == "load":
        fields |= Owner.here().to_fields() | {"owner_deadline": "5", "overwrites": ""}
    elif next(iter(foreign)).startswith("owner"):
        foreign = {"axes": "null"}
    with server.plain as client:
        client.hset(key, mapping=dict(foreign if "hello" in foreign else fields | foreign))
    before = server.contents()
    async with open_pool(server) as pool:
        with pytest.raises(DamagedData, match=key.replace("{", "\\{")):
            await begin(pool, unfinished="discard", overwrite=True)
    assert server.contents() == before


@pytest.mark.parametrize("what", ["meta", "load"])
async def test_a_key_of_another_type_in_the_way_is_refused_and_named(each_server: Server, what: str) -> None:
    key = KEYS.control(what)
    with each_server.plain as client:
        client.rpush(key, "a list")
    before = each_server.contents()
    async with open_pool(each_server) as pool:
        with pytest.raises(Refused, match=key.replace("{", "\\{")):
            await begin(pool, overwrite=True)
    assert each_server.contents() == before


async def test_a_foreign_hash_that_is_not_utf8_is_damage(each_server: Server) -> None:
    with each_server.plain as client:
        client.hset(KEYS.meta, b"\xff\xfe", b"\x80")
    async with open_pool(each_server) as pool:
        with pytest.raises(QwfError) as raised:
            await read_state(pool, KEYS)
    assert type(raised.value) is DamagedData
