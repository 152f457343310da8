"""Keys of generations that nobody knows are found and removed, and nothing else, whatever goes on meanwhile."""

from __future__ import annotations

import json
import random
from pathlib import Path

import anyio
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog.cleaning import clean
from qwf_async.catalog.index import known_names
from qwf_async.catalog.keys import Keys
from qwf_async.catalog.orphans import Orphan, find_orphans
from qwf_async.errors import Refused
from qwf_async.layout import LAYOUTS
from tests.conftest import Server, open_pool
from tests.server.test_acl import give_user, store_of
from tests.support.command import Shell
from tests.support.handmade import (
    GRID,
    KEYS,
    abandoned,
    data_key,
    journal_key,
    publish_one,
    put_data,
    set_field,
    superseded,
)
from tests.support.loads import ask, check_points, contents, wave

pytestmark = pytest.mark.anyio

GONE = "0123456789abcdef"
THEIRS = (
    "qwf:psi:{0123456789abcdef.0}:s1", "qwf:psi:{0123456789ABCDEF.0}:s", "qwf:psi:{0123456789abcde.0}:s",
    "qwf:psi:{0123456789abcdef0.0}:s", "qwf:psi:{0123456789abcdef.0}:s:x", "qwf:psi:{0123456789abcdef.0}:b01",
    "qwf:psi:{0123456789abcdef.01}:s", "qwf:psi:{0123456789abcdef.-1}:s", "qwf:psi:{0123456789abcdef.}:s",
    "qwf:psi:{0123456789abcdef}:s", "qwf:psi:0123456789abcdef.0:s", "qwf:psi:{0123456789abcdef.0:s",
    "qwf:psi:{0123456789abcdef.0}:b", "qwf:psi:{0123456789abcdef.0}:t1", "qwf:psi:{0123456789abcdef.0}:b1.2",
    "qwf:p si:{0123456789abcdef.0}:s", "qwf:a:b:{0123456789abcdef.0}:s", "qwf2:psi:{0123456789abcdef.0}:s",
    "xqwf:psi:{0123456789abcdef.0}:s", "qwf:psi:{0123456789abcdef.0}:s\n", "qwf:psi:{0123456789abcdeg.0}:j",
    "qwf:{psi:{0123456789abcdef.0}:j", "qwf:psi:{0123456789abcdef.0}:js", "qwf:psi:{0123456789abcdef.0}",
    "qwf:" + "n" * 129 + ":{0123456789abcdef.0}:s", "{0123456789abcdef.0}:s", "qwf::{0123456789abcdef.0}:s",
    "qwf:{psi}:journal:0123456789abcdef", "qwf:psi:0123456789abcdef:s0", "qwf:psi:0123456789abcdef:b0",
)  # fmt: skip
OURS = (
    "qwf:psi:{%s.0}:s",
    "qwf:psi:{%s.120}:s",
    "qwf:psi:{%s.0}:b0",
    "qwf:psi:{%s.7}:b12345",
    "qwf:psi:{%s.0}:t",
    "qwf:psi:{%s.10}:t",
    "qwf:psi:{%s.0}:j",
    "qwf:psi:{%s.12}:j",
)


def put(server: Server, *keys: str) -> None:
    with server.plain as client:
        for key in keys:
            client.hset(key, "a", "b" * 20)


async def test_only_hashes_with_exactly_the_names_of_ours_go(each_server: Server) -> None:
    put(each_server, *THEIRS)
    ask(each_server, "SET", "qwf:other:{0123456789abcdef.0}:s", "no hash")
    before = each_server.contents()
    put(each_server, *(key % GONE for key in OURS))
    async with open_pool(each_server) as pool:
        (found,) = await find_orphans(pool, "qwf")
        assert (found.name, found.generation, found.keys) == ("psi", GONE, len(OURS))
        assert found.bytes is not None
        assert found.bytes > 20 * len(OURS)
        assert len(each_server.contents()) == len(before) + len(OURS)
        assert await find_orphans(pool, "qwf", remove=True) == [found]
        assert each_server.contents() == before
        assert await find_orphans(pool, "qwf", remove=True) == []


async def test_what_meta_load_or_trash_know_stays(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        await superseded(each_server, pool)
        load = await abandoned(each_server, pool, seconds=1)
        put(each_server, data_key(load.manifest.generation, group=9))
        before = each_server.contents()
        put(each_server, data_key(GONE))
        assert [found.generation for found in await find_orphans(pool, "qwf", remove=True)] == [GONE]
        assert each_server.contents() == before


@pytest.mark.parametrize("damage", ["meta", "load", "newer", "type"])
async def test_a_name_with_a_record_that_cannot_be_read_is_left_alone(
    each_server: Server, damage: str
) -> None:
    async with open_pool(each_server) as pool:
        published = await publish_one(pool)
        put_data(each_server, published.generation)
        load = await abandoned(each_server, pool, seconds=1)
        put_data(each_server, load.manifest.generation)
        if damage == "type":
            ask(each_server, "SET", KEYS.trash, "x")
        elif damage == "newer":
            set_field(each_server, KEYS.meta, "format", 99)
        else:
            ask(each_server, "HDEL", KEYS.control(damage), "generation", "shape")
        before = each_server.contents()
        assert await find_orphans(pool, "qwf", remove=True) == []
        assert each_server.contents() == before


async def test_a_name_that_the_index_lacks_is_entered_again(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        await abandoned(each_server, pool, seconds=70)
        ask(each_server, "DEL", KEYS.names)
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=60)
        await find_orphans(pool, "qwf")
        assert await known_names(pool, "qwf") == []
        await find_orphans(pool, "qwf", remove=True)
        assert await known_names(pool, "qwf") == ["psi"]
        assert await clean(pool, "qwf", batch=100, keep_interrupted=60)
    assert each_server.contents() == {}


@pytest.mark.usefixtures("small_chunks")
async def test_beside_loads_that_begin_end_and_are_discarded_nothing_of_theirs_goes(
    own_server: Server,
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown by pytest if the test fails
    chance = random.Random(seed)
    psi = wave(6, 10, 10, 10)
    rounds, done = 12, 0
    async with qwf_async.connect(own_server.url) as store, open_pool(own_server) as pool:

        async def load() -> None:
            nonlocal done
            for number in range(rounds):
                name, layout = f"psi{number % 3}", chance.choice(list(LAYOUTS))
                with anyio.move_on_after(chance.uniform(0, 0.05)):
                    await qwf_async.ingest(
                        sources.array(psi), store, name, layout=layout, discard=True, overwrite=True
                    )
                await qwf_async.ingest(
                    sources.array(psi), store, name, layout=layout, discard=True, overwrite=True, verify=True
                )
                np.testing.assert_array_equal(await (await store.open(name)).read[...], psi)
            done = 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(load)
            while not done:
                put(own_server, data_key(GONE), journal_key(GONE, Keys(prefix="qwf", name="psi1")))
                found = await find_orphans(pool, "qwf", remove=True)
                assert {orphan.generation for orphan in found} == {GONE}
        for number in range(3):
            np.testing.assert_array_equal(await (await store.open(f"psi{number}")).read[...], psi)


async def test_the_rights_of_the_writer_do_not_suffice_to_look_at_all_keys(own_server: Server) -> None:
    give_user(own_server, "qwf")
    async with store_of(own_server, "qwf") as store:
        with pytest.raises(Refused, match="scan"):
            await store.orphans()
    give_user(own_server, "qwf", "+scan", "-memory|usage")
    put(own_server, data_key(GONE))
    async with store_of(own_server, "qwf") as store:
        assert await store.orphans() == [Orphan(name="psi", generation=GONE, keys=1, bytes=None)]


async def test_clean_lists_them_first_and_removes_them_when_asked(own_server: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=own_server.url)
    async with qwf_async.connect(own_server.url) as store:
        await qwf_async.ingest(sources.array(wave(*GRID.shape)), store, "psi")
    put(own_server, data_key(GONE))
    before = contents(own_server)
    wrong, plain, listed, as_json, removed = shell.each(
        ["clean", "--dry-run"],
        ["clean"],
        ["clean", "--orphans", "--dry-run"],
        ["clean", "--orphans", "--dry-run", "--json"],
        ["clean", "--orphans"],
    )
    assert wrong.status == 2
    assert plain.status == 0
    assert listed.out.startswith(f"psi {GONE}: 1 key, about ")
    assert "removed nothing; 1 generation that nobody knows" in listed.err
    assert json.loads(as_json.out)["orphans"][0]["generation"] == GONE
    assert removed.status == 0
    assert "cleaned nothing; 1 generation that nobody knows" in removed.err
    del before[data_key(GONE).encode()]
    assert contents(own_server) == before
    check_points(own_server, wave(*GRID.shape))
