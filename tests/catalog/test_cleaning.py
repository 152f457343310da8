"""What is expendable goes, in small steps and in the right order; all else stays to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import anyio
import pytest

from qwf_async.catalog.cleaning import Cleaned, clean, clean_scratch, remove_generation, sweep
from qwf_async.catalog.keys import Keys, new_generation
from qwf_async.catalog.scripts import READ_RECORDS
from qwf_async.catalog.trash import TrashEntry
from qwf_async.errors import Refused
from tests.conftest import PATIENCE, Server, open_pool
from tests.support.handmade import (
    FLAT,
    HOUR,
    KEYS,
    PLAN,
    abandoned,
    all_of,
    begin,
    between,
    data_key,
    fields_at,
    fill,
    journal_key,
    manifest,
    publish_one,
    put_data,
    scratch_of,
    server_ms,
    set_field,
    superseded,
)

pytestmark = pytest.mark.anyio
DAY = 24 * HOUR


@contextmanager
def watched(server: Server) -> Iterator[list[list[str]]]:
    """Filled, at the end, with the commands that the server has been given meanwhile."""
    commands: list[list[str]] = []
    with server.plain as watcher, server.plain as client, watcher.monitor() as monitor:
        yield commands
        client.echo("the end")
        while (command := str(monitor.next_command()["command"])) != "ECHO the end":
            if not command.startswith(("CLIENT ", "PING")):  # sent by a client that connects
                commands.append(command.split(" "))


def group_by_group(generation: str) -> list[str]:
    """The keys of a generation in the order in which they go: the journal of each group before its data."""
    return [key(generation, group=n) for n in range(len(PLAN)) for key in (journal_key, data_key)]


@pytest.mark.parametrize(("fields", "encoding"), [(50, b"listpack"), (3000, b"hashtable")])
async def test_scratch_goes_by_hscan_and_hdel_in_batches(
    each_server: Server, fields: int, encoding: bytes
) -> None:
    scratch_of(each_server, fields)
    with each_server.plain as client:
        assert client.object("encoding", KEYS.scratch) == encoding
    async with open_pool(each_server) as pool:
        with watched(each_server) as commands:
            assert await clean_scratch(pool, KEYS, batch=20) == fields
    assert each_server.contents() == {}
    assert {command[0] for command in commands} == {"HSCAN", "HDEL"}
    deletions = [command for command in commands if command[0] == "HDEL"]
    # MONITOR has been split at blanks, and there is one in each name.
    assert all(len(command) - 2 <= 2 * 20 for command in deletions)
    assert len(deletions) >= fields / 20


async def test_no_scratch_is_no_error(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        assert await clean_scratch(pool, KEYS, batch=20) == 0


async def test_a_scratch_key_of_another_type_is_refused_and_named(each_server: Server) -> None:
    with each_server.plain as client:
        client.set(KEYS.scratch, "not ours")
    async with open_pool(each_server) as pool:
        with pytest.raises(Refused, match=KEYS.scratch.replace("{", "\\{")):
            await clean_scratch(pool, KEYS, batch=20)


@pytest.mark.parametrize(("batch", "at_once"), [(100, 2), (3, 2), (1, 1)])
async def test_of_a_generation_in_the_trash_each_journal_goes_before_its_data(
    each_server: Server, batch: int, at_once: int
) -> None:
    async with open_pool(each_server) as pool:
        old, new = await superseded(each_server, pool)
        before = each_server.contents()
        with watched(each_server) as commands:
            assert await sweep(pool, KEYS, batch=batch) == 1
    after = each_server.contents()
    assert before.keys() - after.keys() == all_of(old.generation) | {KEYS.trash.encode()}
    assert after == {key: before[key] for key in after}
    assert all_of(new.generation) <= after.keys()
    names = group_by_group(old.generation)
    writes = [command for command in commands if command[0] not in ("HGETALL", "HGET", "EXISTS")]
    assert writes == [
        *(["UNLINK", *names[i : i + at_once]] for i in range(0, len(names), at_once)),
        ["HDEL", KEYS.trash, old.generation],
    ]


@pytest.mark.parametrize("gone", ["nothing", "the journal", "the journal and the data", "some groups"])
async def test_cleaning_that_was_stopped_in_between_is_finished_by_the_next(
    each_server: Server, gone: str
) -> None:
    async with open_pool(each_server) as pool:
        old, _ = await superseded(each_server, pool)
        with each_server.plain as client:
            if gone != "nothing":
                client.delete(journal_key(old.generation, group=1))
            if gone == "the journal and the data":
                client.delete(data_key(old.generation, group=1))
            if gone == "some groups":
                client.delete(
                    *(key(old.generation, group=n) for n in (0, 1) for key in (journal_key, data_key))
                )
        assert await clean(pool, "qwf", batch=100, keep_interrupted=DAY) == Cleaned(generations=1)
        assert not (all_of(old.generation) | {KEYS.trash.encode()}) & each_server.contents().keys()
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=DAY)


@pytest.mark.parametrize(("seconds", "goes"), [(50, False), (70, True), (0, False)])
async def test_an_abandoned_load_goes_when_it_is_older_than_what_is_kept(
    each_server: Server, seconds: float, goes: bool
) -> None:
    async with open_pool(each_server) as pool:
        published = await publish_one(pool)
        put_data(each_server, published.generation)
        load = await abandoned(each_server, pool, seconds=seconds)
        before = each_server.contents()
        found = await clean(pool, "qwf", batch=100, keep_interrupted=60)
        after = each_server.contents()
    assert found == Cleaned(abandoned_loads=int(goes))
    lost = all_of(load.manifest.generation) | {KEYS.load.encode()} if goes else set()
    assert after == {key: value for key, value in before.items() if key not in lost}


async def test_an_abandoned_load_is_taken_before_anything_of_it_is_touched(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await abandoned(each_server, pool, seconds=70)
        with watched(each_server) as commands:
            await clean(pool, "qwf", batch=100, keep_interrupted=60)
    generation = load.manifest.generation
    taken = commands.index(["DEL", KEYS.load])  # by the script
    unlinked = [key for command in commands[taken:] if command[0] == "UNLINK" for key in command[1:]]
    assert unlinked == group_by_group(generation)
    assert not any(command[0] == "UNLINK" for command in commands[:taken])


async def test_a_live_load_stays_however_little_is_kept(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        put_data(each_server, load.manifest.generation)
        await fill(pool, load)
        before = each_server.contents()
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=0)
        assert each_server.contents() == before
        await load.publish(None)


async def test_the_load_of_a_dead_process_goes_before_its_deadline_if_nothing_is_kept(
    each_server: Server,
) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool, ttl=HOUR)
        put_data(each_server, load.manifest.generation)
        set_field(each_server, KEYS.load, "owner_started", "1")
        before = each_server.contents()
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=60)
        assert each_server.contents() == before
        assert await clean(pool, "qwf", batch=100, keep_interrupted=0) == Cleaned(abandoned_loads=1)
        assert each_server.contents() == {}


async def test_the_load_of_another_host_stays_until_its_deadline(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        await begin(pool, ttl=HOUR)
        set_field(each_server, KEYS.load, "owner_host", "elsewhere")
        before = each_server.contents()
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=0)
        assert each_server.contents() == before


async def test_a_load_that_was_resumed_while_the_cleaner_looked_stays(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        await abandoned(each_server, pool, seconds=70)
        before = each_server.contents()

        async def resume() -> None:
            set_field(each_server, KEYS.load, "owner_deadline", server_ms(each_server) + 30_000)

        between(pool, READ_RECORDS, resume)
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=60)
        after = each_server.contents()
    after[KEYS.load.encode()].pop(b"owner_deadline")
    before[KEYS.load.encode()].pop(b"owner_deadline")
    assert after == before


async def test_exactly_the_expendable_goes(each_server: Server) -> None:
    live, dead, sleeping = (Keys(prefix="qwf", name=name) for name in ("live", "dead", "sleeping"))
    async with open_pool(each_server) as pool:
        old, _ = await superseded(each_server, pool)
        scratch_of(each_server, 700)
        running = await begin(pool, keys=live)
        put_data(each_server, running.manifest.generation, live)
        scratch_of(each_server, 30, live)
        gone = await abandoned(each_server, pool, seconds=70, keys=dead)
        await abandoned(each_server, pool, seconds=50, keys=sleeping)
        foreign = Keys(prefix="qwf2", name="psi")
        scratch_of(each_server, 10, foreign)
        with each_server.plain as client:
            client.set("a string", "s")
            client.rpush("a list", 1, 2, 3)
            client.hset("scratch", "k", "v")
            client.hset(data_key(new_generation()), "x0_y0_z0_t0", b"of no generation that is known")
            client.hset("qwf:psi:scratch", "no", "hash tag")
        before = each_server.contents()
        found = await clean(pool, "qwf", batch=100, keep_interrupted=60)
        after = each_server.contents()
        assert found == Cleaned(scratch_fields=730, generations=1, abandoned_loads=1)
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=60)
        assert each_server.contents() == after
    expendable = {
        *all_of(old.generation), KEYS.trash.encode(), KEYS.scratch.encode(), live.scratch.encode(),
        *all_of(gone.manifest.generation, dead), dead.load.encode(),
    }  # fmt: skip
    expendable -= {
        journal_key(gone.manifest.generation, dead, group=n).encode() for n in (2, 3)
    }  # never written
    assert before.keys() - after.keys() == expendable
    assert before[b"qwf:names"].pop(b"dead") == gone.manifest.generation.encode()
    assert after == {key: value for key, value in before.items() if key not in expendable}


async def test_only_the_names_that_are_asked_for_are_cleaned(each_server: Server) -> None:
    other = Keys(prefix="qwf", name="other")
    async with open_pool(each_server) as pool:
        for keys in (KEYS, other):
            await publish_one(pool, keys=keys)
            scratch_of(each_server, 5, keys)
        found = await clean(pool, "qwf", batch=100, keep_interrupted=0, names=["other"])
    assert found == Cleaned(scratch_fields=5)
    assert KEYS.scratch.encode() in each_server.contents()


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        '{"layout": "spiral", "codec": "c16", "shape": [1, 4, 4, 4]}',
        '{"layout": "flat", "codec": "c32", "shape": [1, 4, 4, 4]}',
        '{"layout": "flat", "codec": "c16", "shape": [1, 4, 4, Infinity]}',
        '{"layout": "flat", "codec": "c16", "shape": [1, 4, 4, 4]}',  # of format 1, whose keys have other names
        '{"layout": "flat", "codec": "c16", "shape": [1, 4, 4, 4], "plan": {"kind": "range"}}',
        '{"layout": "flat", "codec": "c16", "shape": [1, 4, 4, 4], "plan": {"kind": "box", "chunk": [1, 4, 4, 4]}}',
    ],
)
async def test_an_entry_of_the_trash_that_is_not_ours_is_left_alone_with_its_data(
    server: Server, entry: str
) -> None:
    generation = new_generation()
    put_data(server, generation)
    with server.plain as client:
        client.hset(KEYS.trash, generation, entry)
    before = server.contents()
    async with open_pool(server) as pool:
        assert await sweep(pool, KEYS, batch=100) == 0
    assert server.contents() == before


async def test_a_load_that_is_not_ours_is_left_alone(each_server: Server) -> None:
    with each_server.plain as client:
        client.hset(KEYS.load, mapping={"owner_token": "someone", "owner_deadline": "1"})
        client.hset(KEYS.names, "psi", "1")
    before = each_server.contents()
    async with open_pool(each_server) as pool:
        assert not await clean(pool, "qwf", batch=100, keep_interrupted=0)
    assert each_server.contents() == before


async def test_a_generation_that_is_referred_to_is_not_removed(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        published = await publish_one(pool)
        load = await begin(pool, overwrite=True)
        before = each_server.contents()
        await remove_generation(pool, KEYS, published, batch=100)
        await remove_generation(pool, KEYS, load.manifest, batch=100)
        after = each_server.contents()
    assert after.pop(b"qwf:names").keys() == before.pop(b"qwf:names").keys()
    assert after == before


async def test_a_generation_that_nothing_refers_to_is_removed_with_all_it_has(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        await publish_one(pool)
        before = each_server.contents()
        load = await begin(pool, overwrite=True)
        put_data(each_server, load.manifest.generation)
        await fill(pool, load)
        with each_server.plain as client:
            client.delete(KEYS.load)
        await remove_generation(pool, KEYS, load.manifest, batch=100)
    after = each_server.contents()
    assert after.keys() == before.keys()
    assert fields_at(each_server, KEYS.names).keys() == {"psi"}


def test_an_entry_of_the_trash_says_how_to_find_the_keys() -> None:
    entry = json.loads(TrashEntry.of(manifest(form=replace(FLAT, codec="c8")), 1234).text)
    assert entry.items() >= {"layout": "flat", "codec": "c8", "since": 1234}.items()


def test_what_was_cleaned_adds_up_and_is_described() -> None:
    some = Cleaned(scratch_fields=2, generations=1)
    assert some + Cleaned(scratch_fields=1, abandoned_loads=4) == Cleaned(
        scratch_fields=3, generations=1, abandoned_loads=4
    )
    assert bool(some)
    assert not replace(some, scratch_fields=0, generations=0)
    assert some.describe() == "2 scratch fields, 1 superseded generations"
    assert Cleaned().describe() == "nothing"


async def test_trash_of_a_shape_that_nothing_can_have_is_left_and_told(server: Server) -> None:
    plan = {"kind": "range", "length": 2**16, "count": 2**41}
    entry = json.dumps(
        {"layout": "packed", "codec": "c16", "shape": [2**57, 1, 1, 1], "plan": plan, "since": 1}
    )
    with server.plain as client:
        client.hset(KEYS.trash, "f" * 16, entry)
        client.hset(KEYS.names, KEYS.name, "")
    before = server.contents()
    with anyio.fail_after(PATIENCE):
        async with open_pool(server) as pool:
            cleaned = await clean(pool, "qwf", batch=100, keep_interrupted=60)
    assert (bool(cleaned), cleaned.strange_entries) == (False, 1)
    assert cleaned.describe() == "nothing; left 1 entry of trash that are of no wavefunction"
    assert server.contents() == before


async def test_cleaning_and_removal_go_through_on_a_full_server(each_own_server: Server) -> None:
    async with open_pool(each_own_server) as pool:
        _, new = await superseded(each_own_server, pool)
        dead = Keys(prefix="qwf", name="dead")
        await abandoned(each_own_server, pool, seconds=70, keys=dead)
        scratch_of(each_own_server, 700)
        lost = manifest()
        put_data(each_own_server, lost.generation)
        with each_own_server.plain as client:
            client.config_set("maxmemory", 1)
        await remove_generation(pool, KEYS, lost, batch=100)
        found = await clean(pool, "qwf", batch=100, keep_interrupted=60)
    assert found == Cleaned(scratch_fields=700, abandoned_loads=1)  # the old generation went with the lost
    kept = all_of(new.generation) | {KEYS.meta.encode(), KEYS.names.encode()}
    assert each_own_server.contents().keys() == kept
