"""The life of a load: what is decided about a name, and what the scripts do on real servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from conftest import Server, open_pool
from handmade import (
    FLAT,
    GRID,
    HOUR,
    KEYS,
    begin,
    entry,
    fields_at,
    fill,
    manifest,
    publish_one,
    server_ms,
    set_field,
)

from qwf_async.errors import DamagedData, DataLost, QwfError, Refused, ServerUnavailable
from qwf_async.grid import Axis, Grid
from qwf_async.load import Load, LoadTaken, Situation, UnderWay, Unfinished, decide, look
from qwf_async.manifest import JournalEntry
from qwf_async.owner import Owner
from qwf_async.plan import BoxPlan
from qwf_async.server.address import Address
from qwf_async.server.pool import Pool


def start_of(pid: int) -> str:
    """Field 22 of its stat file (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def ended_process() -> Owner:
    """An owner whose process is gone, with a deadline that is far away."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        started = start_of(child.pid)
    return replace(Owner.here(), pid=child.pid, started=started, deadline=10**15)


OUTCOMES: list[tuple[str, str, str, bool | str, str]] = [
    # load, published, unfinished, overwrite: outcome. "*" stands for anything; the first row that fits counts.
    ("live", "*", "*", "*", "is being loaded by process"),
    ("none", "none", "*", "*", "begins"),
    ("none", "same", "resume", "*", "is finished"),
    ("none", "*", "*", True, "begins"),
    ("none", "*", "*", False, "exists already: --overwrite"),
    ("*", "*", "refuse", "*", "there is an unfinished load of psi: --resume goes on with it, --discard"),
    ("dead", "*", "resume", "*", "resumes"),
    ("dead overwriter", "*", "resume", "*", "resumes"),
    ("dead and different", "*", "resume", "*", "cannot be resumed, it differs in source"),
    ("*", "none", "discard", "*", "discards"),
    ("*", "*", "discard", True, "discards"),
    ("dead overwriter", "*", "discard", False, "discards"),
    ("*", "*", "discard", False, "exists already: --overwrite --discard"),
]
LOADS = ("none", "live", "dead", "dead overwriter", "dead and different")
CASES = list(product(LOADS, ("none", "same", "other"), ("refuse", "resume", "discard"), (False, True)))


@pytest.mark.parametrize(("load", "published", "unfinished", "overwrite"), CASES)
def test_what_is_decided_about_a_name(
    load: str, published: str, unfinished: Unfinished, overwrite: bool
) -> None:
    case = (load, published, unfinished, overwrite)
    outcome = next(
        row[4] for row in OUTCOMES if all(a in ("*", b) for a, b in zip(row[:4], case, strict=True))
    )
    wanted = manifest()
    there = {"none": None, "same": manifest(), "other": manifest(fingerprint="two")}[published]
    deadline = 2_000 if load == "live" else 1_000
    under_way = UnderWay(
        manifest=manifest(fingerprint="two" if load == "dead and different" else "one"),
        overwrites="0123456789abcdef" if load == "dead overwriter" else "",
        owner=replace(Owner.here(), deadline=deadline),
    )
    seen = Situation(published=there, under_way=None if load == "none" else under_way, now=1_000)
    if outcome not in ("begins", "is finished", "resumes", "discards"):
        with pytest.raises(Refused, match=outcome):
            decide("psi", seen, wanted, unfinished=unfinished, overwrite=overwrite)
        return
    beginning = decide("psi", seen, wanted, unfinished=unfinished, overwrite=overwrite)
    assert beginning.finished is (outcome == "is finished")
    assert beginning.resumed is (outcome == "resumes")
    assert beginning.discards is (under_way.manifest if outcome == "discards" else None)
    if beginning.finished:
        assert beginning.manifest is there
    else:
        assert beginning.manifest is (under_way.manifest if beginning.resumed else wanted)
        assert beginning.overwrites is there


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fingerprint": "two", "source": "another"}, "source: stored a test .one., given another .two."),
        ({"form": replace(FLAT, codec="c8")}, "codec: stored c16, given c8"),
        ({"form": replace(FLAT, layout="packed")}, "layout: stored flat, given packed"),
        (
            {"form": replace(FLAT, layout="tile", tile=(2, 2, 4))},
            "layout: stored flat, given tile tile .2, 2, 4.",
        ),
        ({"grid": Grid(shape=(1, 4, 4, 4), axes=(Axis(step=1.0),) * 4)}, "grid: stored"),
        ({"fingerprint": "two", "form": replace(FLAT, codec="c8")}, "source: .*; codec: "),
    ],
)
def test_a_load_that_differs_is_not_resumed_and_the_difference_is_named(
    change: dict[str, Any], words: str
) -> None:
    under_way = UnderWay(manifest=manifest(), overwrites="", owner=replace(Owner.here(), deadline=0))
    seen = Situation(published=None, under_way=under_way, now=1)
    with pytest.raises(Refused, match=words):
        decide("psi", seen, manifest(**change), unfinished="resume", overwrite=True)


def test_how_the_source_is_called_and_cut_makes_no_difference() -> None:
    other = manifest(source="the same by another name", plan=BoxPlan.cut(GRID.shape, points=7), norm=1.0)
    assert manifest().differences(other) == []


def test_this_process_holds_until_its_deadline() -> None:
    owner = replace(Owner.here(), deadline=1000)
    assert owner.holds(999)
    assert not owner.holds(1000)


def test_a_process_of_this_host_that_is_gone_holds_nothing() -> None:
    owner = ended_process()
    assert not owner.holds(0)
    assert replace(owner, host="elsewhere").holds(0)
    assert replace(owner, boot="another boot").holds(0)
    assert not replace(owner, host="elsewhere").holds(10**15)


def test_a_process_that_has_the_pid_of_another_holds_nothing_of_it() -> None:
    assert not replace(Owner.here(), started="1", deadline=10**15).holds(0)


def test_a_process_that_was_killed_but_not_waited_for_holds_nothing() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        started = start_of(child.pid)
        owner = replace(Owner.here(), pid=child.pid, started=started, deadline=10**15)
        assert owner.holds(0)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not owner.holds(0)


def test_an_owner_comes_back_from_its_fields() -> None:
    owner = replace(Owner.here(), deadline=1234)
    assert Owner.from_fields(owner.to_fields() | {"owner_deadline": "1234"}) == owner


def test_every_load_has_a_token_of_its_own() -> None:
    assert Owner.here().token != Owner.here().token


@pytest.mark.anyio
async def test_a_load_that_has_begun_is_on_the_server_and_nothing_is_published(each_server: Server) -> None:
    wanted = manifest()
    async with open_pool(each_server) as pool:
        before = server_ms(each_server)
        load = await begin(pool, wanted, ttl=30.0)
        after = server_ms(each_server)
        seen = await look(pool, KEYS)
    stored = fields_at(each_server, KEYS.load)
    assert wanted.to_fields().items() <= stored.items()
    assert stored["overwrites"] == ""
    assert before + 30_000 <= int(stored["owner_deadline"]) <= after + 30_000
    assert each_server.contents().keys() == {KEYS.load.encode(), KEYS.names.encode()}
    assert fields_at(each_server, KEYS.names) == {"psi": wanted.generation}
    assert (load.manifest, load.overwrites, load.resumed) == (wanted, None, False)
    assert seen.published is None
    assert seen.under_way is not None
    assert seen.under_way.manifest == wanted
    assert before <= seen.now <= server_ms(each_server)


@pytest.mark.anyio
@pytest.mark.parametrize("unfinished", ["refuse", "resume", "discard"])
async def test_a_second_load_of_a_name_is_refused_and_says_whose_it_is(
    server: Server, unfinished: Unfinished
) -> None:
    async with open_pool(server) as pool:
        await begin(pool)
        before = server.contents()
        with pytest.raises(Refused, match=f"loaded by process {os.getpid()} on {socket.gethostname()}"):
            await begin(pool, unfinished=unfinished, overwrite=True)
        assert server.contents() == before


@pytest.mark.anyio
async def test_of_twenty_that_begin_at_once_one_gets_the_name(each_server: Server) -> None:
    loads: list[Load] = []
    refusals: list[Refused] = []

    async def attempt(pool: Pool) -> None:
        try:
            loads.append(await begin(pool))
        except Refused as error:
            refusals.append(error)

    async with open_pool(each_server) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(attempt, pool)
        assert (len(loads), len(refusals)) == (1, 19)
        stored = fields_at(each_server, KEYS.load)
        assert stored["generation"] == loads[0].manifest.generation
        await loads[0].renew()


@pytest.mark.anyio
async def test_of_twenty_that_take_over_at_once_one_gets_the_load(each_server: Server) -> None:
    loads: list[Load] = []
    refusals: list[Refused] = []

    async def attempt(pool: Pool, unfinished: Unfinished) -> None:
        try:
            loads.append(await begin(pool, unfinished=unfinished))
        except Refused as error:
            refusals.append(error)

    async with open_pool(each_server) as pool:
        await (await begin(pool)).release()
        async with anyio.create_task_group() as tasks:
            for i in range(20):
                tasks.start_soon(attempt, pool, "resume" if i % 2 else "discard")
        assert (len(loads), len(refusals)) == (1, 19)
        await fill(pool, loads[0])
        await loads[0].publish(None)


HOLD = """
import sys, anyio
from handmade import HOUR, Pool, begin, fill
from qwf_async.server.address import Address
async def hold(url):
    pool = Pool(Address.parse(url))
    load = await begin(pool, ttl=HOUR)
    await fill(pool, load, [0, 2])
    print(load.manifest.generation, flush=True)
    await anyio.sleep_forever()
anyio.run(hold, sys.argv[1])
"""


@pytest.mark.anyio
async def test_the_load_of_a_killed_process_is_taken_over_at_once(server: Server) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, server.url]
    async with (
        await anyio.open_process(command, stderr=None, env=environment) as child,
        open_pool(server) as pool,
    ):
        assert child.stdout is not None
        with anyio.fail_after(30):
            generation = (await child.stdout.receive()).decode().strip()
        with pytest.raises(Refused, match=f"is being loaded by process {child.pid} on"):
            await begin(pool, unfinished="resume")
        child.send_signal(signal.SIGKILL)
        await child.wait()
        with pytest.raises(Refused, match="there is an unfinished load"):
            await begin(pool)
        load = await begin(pool, unfinished="resume")
        assert load.resumed
        assert load.manifest.generation == generation
        assert await load.journal() == {0: entry(0), 2: entry(2)}


@pytest.mark.anyio
async def test_the_deadline_decides_about_a_process_of_another_host(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        first = await begin(pool, ttl=HOUR)
        set_field(each_server, KEYS.load, "owner_host", "elsewhere")
        set_field(each_server, KEYS.load, "owner_pid", "1")
        with pytest.raises(Refused, match="process 1 on elsewhere"):
            await begin(pool, unfinished="resume")
        set_field(each_server, KEYS.load, "owner_deadline", server_ms(each_server) - 1)
        second = await begin(pool, unfinished="resume")
        assert second.manifest.generation == first.manifest.generation


@pytest.mark.anyio
async def test_a_resumed_load_keeps_its_generation_its_journal_and_what_it_replaces(
    each_server: Server,
) -> None:
    async with open_pool(each_server) as pool:
        old = await publish_one(pool)
        first = await begin(pool, overwrite=True)
        await fill(pool, first, [1])
        await first.release()
        second = await begin(pool, unfinished="resume")
        assert second.manifest.generation == first.manifest.generation
        assert second.overwrites is not None
        assert second.overwrites.generation == old.generation
        assert await second.journal() == {1: entry(1)}
        await fill(pool, second)
        await second.publish(None)
        assert set(fields_at(each_server, KEYS.trash)) == {old.generation}


@pytest.mark.anyio
async def test_what_is_published_from_the_same_source_is_not_loaded_again(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        published = await publish_one(pool)
        before = each_server.contents()
        again = await Load.begin(pool, KEYS, manifest(), unfinished="resume", overwrite=False, ttl=30)
        assert again == published
        assert each_server.contents() == before


@pytest.mark.anyio
async def test_a_discarded_load_becomes_trash_when_the_next_begins(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        first = await begin(pool)
        await first.release()
        second = await begin(pool, unfinished="discard")
        assert second.manifest.generation != first.manifest.generation
        (discarded,) = fields_at(each_server, KEYS.trash).items()
        assert discarded[0] == first.manifest.generation
        assert json.loads(discarded[1])["layout"] == "flat"
        assert await second.journal() == {}


@pytest.mark.anyio
async def test_renewing_moves_the_deadline_by_the_clock_of_the_server(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool, ttl=12.5)
        set_field(each_server, KEYS.load, "owner_deadline", 5)
        before = server_ms(each_server)
        await load.renew()
        deadline = int(fields_at(each_server, KEYS.load)["owner_deadline"])
        assert before + 12_500 <= deadline <= server_ms(each_server) + 12_500


@pytest.mark.anyio
async def test_a_released_load_can_be_had_at_once(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool, ttl=HOUR)
        await load.release()
        assert (await begin(pool, unfinished="resume")).resumed


@pytest.mark.anyio
async def test_a_load_that_another_took_is_not_ours_any_more(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        first = await begin(pool)
        await first.release()
        second = await begin(pool, unfinished="resume")
        before = each_server.contents()
        with pytest.raises(LoadTaken, match=f"taken over by process {os.getpid()}"):
            await first.renew()
        with pytest.raises(LoadTaken):
            await first.release()
        assert not await first.discard()
        assert each_server.contents() == before
        await second.renew()


@pytest.mark.anyio
async def test_a_load_that_another_took_and_published_is_not_ours_any_more(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        first = await begin(pool)
        await first.release()
        second = await begin(pool, unfinished="resume")
        await fill(pool, second)
        await second.publish(None)
        with pytest.raises(LoadTaken, match="taken over by another process"):
            await first.renew()


@pytest.mark.anyio
async def test_a_load_that_was_flushed_away_is_lost(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        with each_server.plain as client:
            client.flushall()
        with pytest.raises(DataLost, match="gone from the server"):
            await load.renew()
        assert each_server.contents() == {}


@pytest.mark.anyio
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


@pytest.mark.anyio
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


@pytest.mark.anyio
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


@pytest.mark.anyio
async def test_publishing_shows_the_whole_and_makes_the_old_trash(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        old = await publish_one(pool)
        assert each_server.contents().keys() == {
            key.encode() for key in (KEYS.meta, KEYS.names, KEYS.journal(old.generation))
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
        seen = await look(pool, KEYS)
        assert (seen.published, seen.under_way) == (new, None)


@pytest.mark.anyio
async def test_a_load_with_holes_in_its_journal_is_not_published(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        load = await begin(pool)
        await fill(pool, load, [0, 1, 3])
        before = each_server.contents()
        with pytest.raises(DataLost, match="its journal has holes"):
            await load.publish(None)
        assert each_server.contents() == before
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


@pytest.mark.anyio
async def test_a_discarded_load_is_trash_and_nothing_else_changes(each_server: Server) -> None:
    async with open_pool(each_server) as pool:
        published = await publish_one(pool)
        load = await begin(pool, overwrite=True)
        await fill(pool, load, [0])
        before = each_server.contents()
        assert await load.discard()
        after = each_server.contents()
        assert set(before) - set(after) == {KEYS.load.encode()}
        assert set(after) - set(before) == {KEYS.trash.encode()}
        assert set(fields_at(each_server, KEYS.trash)) == {load.manifest.generation}
        assert fields_at(each_server, KEYS.meta)["generation"] == published.generation
        assert not await load.discard()


@asynccontextmanager
async def losing_replies(server: Server, marker: bytes) -> AsyncIterator[Address]:
    """An address that leads to the server, but cuts the connection when it has applied what holds `marker`."""
    path = server.directory / "lossy"
    lost = False

    async def serve(client: anyio.abc.SocketStream) -> None:
        nonlocal lost
        async with client, await anyio.connect_unix(server.socket) as upstream:
            losing = False

            async def forward() -> None:
                nonlocal losing, lost
                async for data in client:
                    losing = losing or (marker in data and not lost)
                    lost = lost or losing
                    await upstream.send(data)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(forward)
                async for data in upstream:
                    if losing:
                        break
                    await client.send(data)
                tasks.cancel_scope.cancel()

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield Address.parse(f"unix://{path}")
        assert lost
        tasks.cancel_scope.cancel()
    path.unlink()


@pytest.mark.anyio
async def test_a_load_whose_beginning_got_no_reply_has_begun(server: Server) -> None:
    async with losing_replies(server, b"HSET', KEYS[2], 'owner_deadline', now() + ARGV[3]") as address:
        pool = Pool(address)
        wanted = manifest()
        load = await begin(pool, wanted)
        assert load.manifest == wanted
        await load.renew()
        await pool.aclose()
    assert fields_at(server, KEYS.load)["generation"] == wanted.generation


@pytest.mark.anyio
async def test_a_load_whose_publishing_got_no_reply_is_published_once(server: Server) -> None:
    async with open_pool(server) as direct:
        old = await publish_one(direct)
    async with losing_replies(server, b"return 'done'") as address:
        pool = Pool(address)
        load = await begin(pool, overwrite=True)
        await fill(pool, load)
        published = await load.publish(None)
        await pool.aclose()
    assert fields_at(server, KEYS.meta) == published.to_fields()
    assert set(fields_at(server, KEYS.trash)) == {old.generation}


@pytest.mark.anyio
async def test_a_load_that_could_not_begin_in_time_is_not_held(server: Server) -> None:
    async with losing_replies(server, b"HSET', KEYS[2], 'owner_deadline', now() + ARGV[3]") as address:
        pool = Pool(address, deadline=0)
        with pytest.raises(ServerUnavailable):
            await begin(pool, ttl=HOUR)
        await pool.aclose()
    async with open_pool(server) as pool:
        assert (await begin(pool, unfinished="resume")).resumed


@pytest.mark.anyio
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


@pytest.mark.anyio
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


@pytest.mark.anyio
async def test_a_foreign_hash_that_is_not_utf8_is_damage(each_server: Server) -> None:
    with each_server.plain as client:
        client.hset(KEYS.meta, b"\xff\xfe", b"\x80")
    async with open_pool(each_server) as pool:
        with pytest.raises(QwfError) as raised:
            await look(pool, KEYS)
    assert type(raised.value) is DamagedData
