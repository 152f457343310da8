"""Publishing a load: all or nothing, by its owner alone, over what it meant to replace."""

from __future__ import annotations

import json

import pytest

from qwf_async.catalog.load import Load, LoadTaken
from qwf_async.catalog.name_state import read_state
from qwf_async.errors import DataLost, Refused
from tests.conftest import Server, open_pool
from tests.support.handmade import (
    KEYS,
    PLAN,
    begin,
    fields_at,
    fill,
    journal_key,
    manifest,
    publish_one,
    set_field,
)


@pytest.mark.anyio
async def test_publishing_shows_the_whole_and_makes_the_old_trash(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        old = await publish_one(pool)
        assert each_server.contents().keys() == {
            key.encode()
            for key in (
                KEYS.meta,
                KEYS.names,
                *(journal_key(old.generation, group=n) for n in range(len(PLAN))),
            )
        }
        load = await begin(pool, overwrite=True)
        assert fields_at(each_server, KEYS.meta) == old.to_fields()
        assert fields_at(each_server, KEYS.load)["overwrites"] == old.generation
        await fill(pool, load)
        new = await load.publish(0.75)
        assert new.generation == load.manifest.generation
        assert fields_at(each_server, KEYS.meta) == new.to_fields()
        assert new.to_fields()["norm"] == "0.75"
        (trash,) = fields_at(each_server, KEYS.trash).items()
        assert trash[0] == old.generation
        assert json.loads(trash[1]).items() >= {"layout": "flat", "codec": "c16"}.items()
        seen = await read_state(pool, KEYS)
        assert (seen.published, seen.under_way) == (new, None)


@pytest.mark.anyio
async def test_a_load_with_holes_in_its_journal_is_not_published(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        await fill(pool, load, [0, 1, 3])
        before = each_server.contents()
        with pytest.raises(DataLost, match="its journal has holes"):
            await load.publish(None)
        after = each_server.contents()
        for held in (before, after):  # the load is still ours, and held for longer
            del held[KEYS.load.encode()][b"owner_deadline"]
        assert after == before
        await fill(pool, load, [2])
        await load.publish(None)


@pytest.mark.anyio
async def test_a_load_is_not_published_after_a_flush(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        with each_server.plain as client:
            client.flushall()
        await fill(pool, load)
        before = each_server.contents()
        with pytest.raises(DataLost, match="gone from the server"):
            await load.publish(None)
        assert each_server.contents() == before


@pytest.mark.anyio
async def test_a_load_that_another_took_is_not_published(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        first = await begin(pool)
        await fill(pool, first)
        await first.release()
        await begin(pool, unfinished="resume")
        before = each_server.contents()
        with pytest.raises(LoadTaken):
            await first.publish(None)
        assert each_server.contents() == before


@pytest.mark.anyio
@pytest.mark.parametrize("change", ["replaced", "removed", "appeared"])
async def test_a_load_is_not_published_over_what_it_did_not_mean_to_replace(
    each_server: Server, change: str
) -> None:
    async with open_pool(each_server) as pool:
        if change != "appeared":
            await publish_one(pool)
        load = await begin(pool, overwrite=True)
        await fill(pool, load)
        with each_server.plain as client:
            if change == "removed":
                client.delete(KEYS.meta)
            else:
                client.hset(KEYS.meta, mapping=dict(manifest().to_fields()))
        before = each_server.contents()
        with pytest.raises(Refused, match="psi was changed by another process"):
            await load.publish(None)
        assert each_server.contents() == before


@pytest.mark.anyio
async def test_a_load_that_is_late_but_still_ours_is_published(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        await fill(pool, load)
        set_field(each_server, KEYS.load, "owner_deadline", 1)
        published = await load.publish(None)
        assert fields_at(each_server, KEYS.meta)["generation"] == published.generation


@pytest.mark.anyio
async def test_a_load_that_is_late_again_after_it_was_renewed_is_published(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, times = Load.renew, 0

    async def renew_and_sleep(self: Load) -> None:
        nonlocal times
        await renew(self)
        times += 1
        if times < 3:
            set_field(server, KEYS.load, "owner_deadline", 1)

    async with open_pool(server) as pool:
        load = await begin(pool)
        await fill(pool, load)
        monkeypatch.setattr(Load, "renew", renew_and_sleep)
        set_field(server, KEYS.load, "owner_deadline", 1)
        published = await load.publish(None)
        assert times == 3
        assert fields_at(server, KEYS.meta)["generation"] == published.generation


@pytest.mark.anyio
async def test_a_server_out_of_memory_still_lets_a_load_be_held_published_and_discarded(
    own_server: Server,
) -> None:
    with own_server.plain as client:
        async with open_pool(own_server) as pool:
            await publish_one(pool)
            load = await begin(pool, overwrite=True)
            await fill(pool, load)
            client.config_set("maxmemory", 1)
            await load.renew()
            await load.publish(None)
            client.config_set("maxmemory", 0)
            other = await begin(pool, overwrite=True)
            client.config_set("maxmemory", 1)
            assert await other.discard()
