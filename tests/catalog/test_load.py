"""The life of a load on real servers: begun, held, journalled, taken over, released and discarded."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from qwf_async.catalog.beginning import Unfinished
from qwf_async.catalog.load import Load, LoadTaken
from qwf_async.catalog.name_state import read_state
from qwf_async.client.address import Address
from qwf_async.client.pool import Pool
from qwf_async.errors import DataLost, Refused, ServerUnavailable
from tests.conftest import PATIENCE, Server, open_pool
from tests.support.handmade import (
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


@pytest.mark.anyio
async def test_a_load_that_has_begun_is_on_the_server_and_nothing_is_published(each_server: Server) -> None:
    wanted = manifest()
    async with open_pool(each_server) as pool:
        before = server_ms(each_server)
        load = await begin(pool, wanted, ttl=30.0)
        after = server_ms(each_server)
        seen = await read_state(pool, KEYS)
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
from tests.support.handmade import HOUR, Pool, begin, fill
from qwf_async.client.address import Address
async def hold(url):
    pool = Pool(Address.parse(url))
    load = await begin(pool, ttl=HOUR)
    await fill(pool, load, [0, 2])
    print(load.manifest.generation, flush=True)
    await anyio.sleep_forever()
anyio.run(hold, sys.argv[1])
"""


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the other process has a loop of its own
async def test_the_load_of_a_killed_process_is_taken_over_at_once(server: Server) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, server.url]
    async with (
        await anyio.open_process(command, stderr=None, env=environment) as child,
        open_pool(server) as pool,
    ):
        assert child.stdout is not None
        with anyio.fail_after(PATIENCE):
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
