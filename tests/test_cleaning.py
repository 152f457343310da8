"""What is expendable goes, in small steps and in the right order; all else stays to the byte."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest
from command import ROOT
from conftest import Server, open_pool
from handmade import (
    FLAT,
    HOUR,
    KEYS,
    begin,
    data_key,
    fields_at,
    fill,
    manifest,
    publish_one,
    put_data,
    server_ms,
    set_field,
)

from qwf_async.cleaning import Cleaned, clean, clean_scratch, remove_generation, sweep
from qwf_async.errors import Refused
from qwf_async.index import BEGINNING, known_names, leave
from qwf_async.load import Load, trash_entry
from qwf_async.manifest import Keys, Manifest, new_generation
from qwf_async.scripts import DISCARD, LEAVE, LOOK
from qwf_async.server.pool import Pool

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


def scratch_of(server: Server, fields: int, keys: Keys = KEYS) -> None:
    with server.plain as client:
        client.hset(keys.scratch, mapping={f"sample {i}": "x" * 20 for i in range(fields)})


async def abandoned(server: Server, pool: Pool, *, seconds: float, keys: Keys = KEYS) -> Load:
    """A load with data and a journal, which was given up so many seconds ago."""
    load = await begin(pool, keys=keys, overwrite=True)
    put_data(server, load.manifest.generation, keys)
    await fill(pool, load, [0, 1])
    await load.release()
    set_field(server, keys.load, "owner_deadline", server_ms(server) - int(seconds * 1000))
    return load


async def superseded(server: Server, pool: Pool, keys: Keys = KEYS) -> tuple[Manifest, Manifest]:
    """A generation that lies in the trash, and the one that took its place."""
    old = await publish_one(pool, keys=keys)
    put_data(server, old.generation, keys)
    new = await publish_one(pool, keys=keys, overwrite=True)
    put_data(server, new.generation, keys)
    return old, new


def between(pool: Pool, marker: str, happens: Callable[[], Awaitable[None]]) -> None:
    """Let something happen right after the pool got the reply to a command that contains `marker`."""
    call = pool.call

    async def call_and_then(*command: Any, **options: Any) -> Any:
        reply = await call(*command, **options)
        if any(marker in str(part) for part in command):
            await happens()
        return reply

    pool.call = call_and_then  # type: ignore[method-assign]


def all_of(generation: str, keys: Keys = KEYS) -> set[bytes]:
    return {data_key(generation, keys).encode(), keys.journal(generation).encode()}


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


async def test_of_a_generation_in_the_trash_the_journal_goes_before_the_data(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        old, new = await superseded(each_server, pool)
        before = each_server.contents()
        with watched(each_server) as commands:
            assert await sweep(pool, KEYS, batch=100) == 1
    after = each_server.contents()
    assert before.keys() - after.keys() == all_of(old.generation) | {KEYS.trash.encode()}
    assert after == {key: before[key] for key in after}
    assert all_of(new.generation) <= after.keys()
    writes = [command for command in commands if command[0] not in ("HGETALL", "HGET", "EXISTS")]
    assert writes == [
        ["UNLINK", KEYS.journal(old.generation)],
        ["UNLINK", data_key(old.generation)],
        ["HDEL", KEYS.trash, old.generation],
    ]


@pytest.mark.parametrize("gone", ["nothing", "the journal", "the journal and the data"])
async def test_cleaning_that_was_stopped_in_between_is_finished_by_the_next(
    each_server: Server, gone: str
) -> None:
    async with open_pool(each_server) as pool:
        old, _ = await superseded(each_server, pool)
        with each_server.plain as client:
            if gone != "nothing":
                client.delete(KEYS.journal(old.generation))
            if gone == "the journal and the data":
                client.delete(data_key(old.generation))
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
    steps = [command[:2] for command in commands]
    taken = steps.index(["DEL", KEYS.load])  # by the script
    assert taken < steps.index(["UNLINK", KEYS.journal(generation)])
    assert steps.index(["UNLINK", KEYS.journal(generation)]) < steps.index(["UNLINK", data_key(generation)])


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

        between(pool, LOOK, resume)
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


async def test_cleaners_at_the_same_time_do_not_get_in_each_others_way(each_server: Server) -> None:
    names = [Keys(prefix="qwf", name=f"psi{i}") for i in range(4)]
    found: list[Cleaned] = []

    async def cleaner() -> None:
        async with open_pool(each_server) as pool:
            found.append(await clean(pool, "qwf", batch=50, keep_interrupted=60))

    async with open_pool(each_server) as pool:
        kept = []
        for keys in names:
            kept.append(await superseded(each_server, pool, keys))
            scratch_of(each_server, 700, keys)
            await abandoned(each_server, pool, seconds=70, keys=keys)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(cleaner)
    assert sum(each.scratch_fields for each in found) == 4 * 700
    assert sum(each.abandoned_loads for each in found) == 4
    assert all(each.generations >= 0 for each in found)
    left = {b"qwf:names"}
    for keys, (_, new) in zip(names, kept, strict=True):
        left |= all_of(new.generation, keys) | {keys.meta.encode()}
    assert each_server.contents().keys() == left


async def test_an_abandoned_load_that_another_cleaner_swept_away_is_counted_once(each_server: Server) -> None:
    async with open_pool(each_server) as pool, open_pool(each_server) as another:
        await abandoned(each_server, pool, seconds=70)

        async def swept_by_another() -> None:
            assert await sweep(another, KEYS, batch=100) == 1

        between(pool, DISCARD, swept_by_another)
        assert await clean(pool, "qwf", batch=100, keep_interrupted=60) == Cleaned(abandoned_loads=1)
    assert each_server.contents() == {}


async def test_a_removal_that_was_stopped_is_found_by_the_next_cleaner(each_server: Server) -> None:
    class Stopped(Exception):
        pass

    async def stop() -> None:
        raise Stopped

    async with open_pool(each_server) as pool, open_pool(each_server) as next_one:
        load = await begin(pool)
        with each_server.plain as client:
            client.flushall()
        put_data(each_server, load.manifest.generation)
        await fill(pool, load)
        between(pool, "UNLINK", stop)
        with pytest.raises(Stopped):
            await remove_generation(pool, KEYS, load.manifest)
        assert await clean(next_one, "qwf", batch=100, keep_interrupted=60) == Cleaned(generations=1)
    assert each_server.contents() == {}


async def test_a_generation_that_is_referred_to_is_not_removed(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        published = await publish_one(pool)
        load = await begin(pool, overwrite=True)
        before = each_server.contents()
        await remove_generation(pool, KEYS, published)
        await remove_generation(pool, KEYS, load.manifest)
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
        await remove_generation(pool, KEYS, load.manifest)
    after = each_server.contents()
    assert after.keys() == before.keys()
    assert fields_at(each_server, KEYS.names).keys() == {"psi"}


def test_an_entry_of_the_trash_says_how_to_find_the_keys() -> None:
    entry = json.loads(trash_entry(manifest(form=replace(FLAT, codec="c8")), 1234))
    assert entry.items() >= {"layout": "flat", "codec": "c8", "since": 1234}.items()
    assert trash_entry(None, 1234) == ""


def test_what_was_cleaned_adds_up_and_is_described() -> None:
    some = Cleaned(scratch_fields=2, generations=1)
    assert some + Cleaned(scratch_fields=1, abandoned_loads=4) == Cleaned(
        scratch_fields=3, generations=1, abandoned_loads=4
    )
    assert bool(some)
    assert not replace(some, scratch_fields=0, generations=0)
    assert some.describe() == "2 scratch fields, 1 superseded generations"
    assert Cleaned().describe() == "nothing"


@pytest.mark.parametrize("after", ["HGET", "EXISTS", LEAVE])
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

        between(pool, "HSET", taken_out)  # after the name was announced, before there is a load
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


async def test_trash_of_a_shape_that_nothing_can_have_is_left_and_told(server: Server) -> None:
    entry = json.dumps({"layout": "packed", "codec": "c16", "shape": [2**57, 1, 1, 1], "since": 1})
    with server.plain as client:
        client.hset(KEYS.trash, "f" * 16, entry)
        client.hset(KEYS.names, KEYS.name, "")
    before = server.contents()
    with anyio.fail_after(5):
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
        await remove_generation(pool, KEYS, lost)
        found = await clean(pool, "qwf", batch=100, keep_interrupted=60)
    assert found == Cleaned(scratch_fields=700, abandoned_loads=1)  # the old generation went with the lost
    kept = all_of(new.generation) | {KEYS.meta.encode(), KEYS.names.encode()}
    assert each_own_server.contents().keys() == kept


CLEANER = """
import sys
import anyio
from qwf_async.cleaning import clean
from qwf_async.server.address import Address
from qwf_async.server.pool import Pool

async def main():
    pool = Pool(Address.parse(sys.argv[1]))
    await pool.probe()
    print("ready", flush=True)
    sys.stdin.readline()
    await clean(pool, "qwf", batch=10, keep_interrupted=60)

anyio.run(main)
"""
"""A process that cleans when it is told to."""


@contextmanager
def cleaners(server: Server, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    """So many cleaners that wait to be told."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLEANER, server.url],
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def check_references(server: Server) -> None:
    """No load has a journal without its data; no data is there that nothing refers to."""
    held = server.contents()
    for key in held:
        _, name, what, *rest = key.decode().split(":") if key != b"qwf:names" else ("", "", "names")
        keys = Keys(prefix="qwf", name=name.strip("{}") or "none")
        if what == "load":
            generation = held[key][b"generation"].decode()
            assert (
                keys.journal(generation).encode() not in held or data_key(generation, keys).encode() in held
            )
        if rest == ["s0"]:
            by = [held.get(control.encode(), {}).get(b"generation") for control in (keys.meta, keys.load)]
            assert what.encode() in {*by, *held.get(keys.trash.encode(), {})}
            assert name.encode() in held[b"qwf:names"]


def test_cleaners_that_are_killed_at_any_moment_leave_the_rest_to_the_next(server: Server) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown if it fails
    chance = random.Random(seed)
    names = [Keys(prefix="qwf", name=f"psi{i}") for i in range(30)]
    live = Keys(prefix="qwf", name="live")
    kept = {b"qwf:names", live.load.encode(), live.meta.encode()}

    async def prepare() -> None:
        async with open_pool(server) as pool:
            for keys in names:
                _, new = await superseded(server, pool, keys)
                kept.update(all_of(new.generation, keys), {keys.meta.encode()})
                scratch_of(server, 5, keys)
                await abandoned(server, pool, seconds=70, keys=keys)
            kept.update(all_of((await publish_one(pool, keys=live)).generation, live))
            running = await begin(pool, keys=live, overwrite=True, ttl=HOUR)
            put_data(server, fields_at(server, live.meta)["generation"], live)
            put_data(server, running.manifest.generation, live)
            await fill(pool, running)
            kept.update(all_of(running.manifest.generation, live))

    async def finish() -> Cleaned:
        async with open_pool(server) as pool:
            return await clean(pool, "qwf", batch=100, keep_interrupted=60)

    anyio.run(prepare)
    before = server.contents()
    with cleaners(server, 8) as processes:
        # Two at a time, somewhere in the work of some 100 ms, which each pair takes up where the last was killed.
        for pair in zip(processes[::2], processes[1::2], strict=True):
            for process in pair:
                tell(process)
            for process in pair:
                time.sleep(chance.uniform(0, 0.012))
                process.kill()
                process.wait()
            check_references(server)
    anyio.run(finish)
    after = server.contents()
    assert after.keys() == kept
    assert after == {key: before[key] for key in after}
    assert not anyio.run(finish)
