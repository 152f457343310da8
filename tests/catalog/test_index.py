"""The index of names: who stands in it while loads begin and are cleaned away."""

from __future__ import annotations

import pytest

from qwf_async.catalog.cleaning import Cleaned, clean
from qwf_async.catalog.index import known_names, leave
from qwf_async.catalog.keys import Keys
from qwf_async.catalog.load import Load
from qwf_async.catalog.scripts import ANNOUNCE, WITHDRAW
from qwf_async.catalog.scripts.index_entries import BEGINNING
from tests.conftest import Server, open_pool
from tests.support.handmade import (
    KEYS,
    abandoned,
    begin,
    between,
    fields_at,
    publish_one,
    scratch_of,
    superseded,
)

pytestmark = pytest.mark.anyio


async def test_a_name_leaves_the_index_when_nothing_of_it_is_left(each_server: Server) -> None:
    other = Keys(prefix="qwf", name="other")
    async with open_pool(each_server) as pool:
        await superseded(each_server, pool)
        await abandoned(each_server, pool, seconds=10, keys=other)
        assert await known_names(pool, "qwf") == ["other", "psi"]
        await clean(pool, "qwf", batch=100, keep_interrupted=0)
        assert await known_names(pool, "qwf") == ["psi"]


async def test_what_is_in_the_index_by_accident_is_no_name(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        await publish_one(pool)
        scratch_of(each_server, 5)
        with each_server.plain as client:
            client.hset(KEYS.names, mapping={"no name": "1", "a{b}": "1", "": "1"})
            client.hset(KEYS.names, b"\xff", "1")
        assert await known_names(pool, "qwf") == ["psi"]
        found = await clean(pool, "qwf", batch=100, keep_interrupted=0)
        assert found == Cleaned(scratch_fields=5)


@pytest.mark.parametrize("after", ["HGET", "EXISTS", WITHDRAW])
async def test_a_name_that_is_begun_while_a_cleaner_takes_it_out_is_in_the_index(
    each_server: Server, after: str
) -> None:
    async with open_pool(each_server) as pool, open_pool(each_server) as another:
        with each_server.plain as client:
            client.hset(KEYS.names, KEYS.name, "of a load that is gone")
        begun: list[Load] = []

        async def start() -> None:
            if not begun:
                begun.append(await begin(another))

        between(pool, after, start)
        await leave(pool, KEYS)
        assert begun
        assert await known_names(pool, "qwf") == ["psi"]


async def test_a_name_that_is_taken_out_while_it_is_begun_is_in_the_index(each_server: Server) -> None:
    async with open_pool(each_server) as pool, open_pool(each_server) as another:
        seen: list[list[str]] = []

        async def taken_out() -> None:
            if not seen:
                await leave(another, KEYS)
                seen.append(await known_names(another, "qwf"))

        between(pool, ANNOUNCE, taken_out)  # after the name was announced, before there is a load
        load = await begin(pool)
        assert seen == [[]]
        assert fields_at(each_server, KEYS.names) == {"psi": load.manifest.generation}


async def test_a_name_that_was_announced_and_never_begun_leaves_the_index(each_server: Server) -> None:
    with each_server.plain as client:
        client.hset(KEYS.names, KEYS.name, BEGINNING)
    async with open_pool(each_server) as pool:
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=60)
    assert each_server.contents() == {}


async def test_a_name_with_trash_that_is_not_ours_stays_in_the_index(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        await abandoned(each_server, pool, seconds=70)
        with each_server.plain as client:
            client.hset(KEYS.trash, "future", "an entry of a later version")
        cleaned = await clean(pool, "qwf", batch=100, keep_interrupted=60)
        assert cleaned == Cleaned(abandoned_loads=1, strange_entries=1)
        assert each_server.contents().keys() == {KEYS.trash.encode(), KEYS.names.encode()}
