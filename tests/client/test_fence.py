"""Late bytes of a broken connection, or of a process that has ended, are not applied any more."""

from __future__ import annotations

import random
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import redis

import qwf_async
from qwf_async import sources
from qwf_async.catalog.cleaning import clean
from qwf_async.errors import Refused, ServerUnavailable
from qwf_async.layout import LAYOUTS
from qwf_async.settings import Settings
from tests.conftest import PATIENCE, Server, open_node, open_pool
from tests.server.test_acl import denials, give_user, store_of
from tests.support.command import Shell
from tests.support.handmade import KEYS, abandoned, begin, manifest, put_data, set_field
from tests.support.late_delivery import Holder, holding
from tests.support.loads import (
    Enough,
    Events,
    ask,
    check_alone,
    check_points,
    contents,
    enough,
    ingested,
    leave_unfinished,
    wave,
    when_stored,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

PSI = wave(8, 10, 10, 10)
in_each_layout = pytest.mark.parametrize("layout", LAYOUTS)
DATA = (b".0}:s\r\n", b".0}:b1\r\n", b".0}:t\r\n")
"""Ends of one of the first data keys of each layout, and of no key with which RESTORE is tried."""
SINGLE = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def run_of(server: Server) -> str:
    with server.plain as client:
        return str(client.info("server")["run_id"])


def writers(server: Server) -> dict[str, str]:
    """The connections that the record of the load of psi names."""
    record = ask(server, "HGETALL", KEYS.load)
    fields = dict(zip(record[::2], record[1::2], strict=True)) if isinstance(record, list) else record
    return {
        name.decode(): run.decode() for name, run in fields.items() if name.decode().startswith("writer:")
    }


def killed(server: Server, holder: Holder, directory: Path, layout: str) -> None:
    """An ingest as a process, killed when the first of its data lies in the holder."""
    np.save(directory / "psi.npy", PSI)
    shell = Shell.at(directory, QWF_URL=holder.url)
    holder.keeps = DATA
    with shell.begin("ingest", "psi.npy", "--name", "psi", "--layout", layout) as begun:
        holder.wait()
        begun.signal(signal.SIGKILL)
        assert begun.end().status == 137
    holder.keeps = ()
    assert writers(server)


@SINGLE
@in_each_layout
async def test_late_bytes_of_a_killed_process_do_not_bring_back_what_was_removed(
    own_server: Server, tmp_path: Path, layout: str
) -> None:
    with holding(own_server) as holder:
        killed(own_server, holder, tmp_path, layout)
        async with qwf_async.connect(own_server.url) as store:
            await store.remove("psi")
            assert contents(own_server) == {}
            holder.deliver()
            assert contents(own_server) == {}
            assert await store.orphans() == []


@SINGLE
@pytest.mark.parametrize("road", ["resume", "discard", "clean"])
async def test_who_takes_a_load_over_fences_its_dead_owner(
    own_server: Server, tmp_path: Path, road: str
) -> None:
    with holding(own_server) as holder:
        killed(own_server, holder, tmp_path, "flat")
        async with qwf_async.connect(own_server.url, settings=Settings(keep_interrupted=0)) as store:
            if road == "clean":
                assert (await store.clean()).abandoned_loads == 1
            else:
                with closing(sources.npy(tmp_path / "psi.npy")) as source:
                    # One slab, as the killed process cut it: it knows nothing of small chunks.
                    await qwf_async.ingest(source, store, "psi", slab=PSI.shape, **{road: True})  # type: ignore[arg-type]
                await (await store.open("psi")).update(3, 4, 5, 0, value=7)
            before = contents(own_server)
            holder.deliver()
            assert contents(own_server) == before
            assert await store.orphans() == []


@in_each_layout
async def test_an_update_is_not_undone_by_a_late_copy_of_the_first_write(
    own_server: Server, layout: str
) -> None:
    settings = Settings(socket_timeout=1.0, deadline=PATIENCE, spool_limit=0)
    with holding(own_server) as holder:
        holder.keeps = DATA
        async with (
            qwf_async.connect(holder.url, settings=settings) as store,
            anyio.create_task_group() as tasks,
        ):

            async def let_others_pass() -> None:
                await anyio.to_thread.run_sync(holder.wait)
                holder.keeps = ()

            tasks.start_soon(let_others_pass)
            await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout, writers=1)
            psi = await store.open("psi")
            await psi.update(1, 2, 3, 0, value=7)
            holder.deliver()
            changed = PSI.copy()
            changed[0, 1, 2, 3] = 7
            np.testing.assert_array_equal(await psi.read[...], changed)


async def test_an_update_that_is_sent_again_does_not_come_once_more_behind_another(
    own_server: Server,
) -> None:
    await ingested(own_server, sources.array(PSI))
    block = PSI[0:1] * 2
    settings = Settings(socket_timeout=1.0, deadline=PATIENCE)
    with holding(own_server) as holder:
        async with qwf_async.connect(holder.url, settings=settings) as store:
            psi = await store.open("psi")
            holder.keeps = (b"'HMGET', KEYS[1], unpack(fields)",)
            async with anyio.create_task_group() as tasks:

                async def let_others_pass() -> None:
                    await anyio.to_thread.run_sync(holder.wait)
                    holder.keeps = ()

                tasks.start_soon(let_others_pass)
                await psi.update_region(0, block[0])
            await psi.update(1, 2, 3, 0, value=7)
            holder.deliver()
            assert await psi.point(1, 2, 3, t=0) == 7


async def test_a_load_that_is_given_up_in_order_leaves_no_writers_behind(own_server: Server) -> None:
    seen: list[dict[str, str]] = []

    def stop() -> None:
        seen.append(writers(own_server))
        enough()

    async with qwf_async.connect(own_server.url) as store:
        with pytest.raises(Enough):  # in the one writer, when its batch is done
            await qwf_async.ingest(
                sources.array(PSI), store, "psi", writers=1, hooks=(when_stored(3000, stop),)
            )
        assert writers(own_server) == {}
        lost = store.pool.counts.lost
        await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True)
        assert store.pool.counts.lost == lost
    assert [list(some.values()) for some in seen] == [[run_of(own_server)]]
    check_points(own_server, PSI)
    check_alone(own_server)


async def test_nobody_else_is_ever_ended(each_own_server: Server) -> None:
    """Numbers of an earlier run of the server are given again; its run id is not."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown by pytest if the test fails
    chance = random.Random(seed)
    with ExitStack() as stack:
        others = []
        for _ in range(20):
            client = stack.enter_context(each_own_server.plain)
            held = redis.client.Redis(connection_pool=client.connection_pool, single_connection_client=True)
            others.append((stack.enter_context(held), held.client_id()))
        async with open_pool(each_own_server) as pool:
            load = await abandoned(each_own_server, pool, seconds=70)
            put_data(each_own_server, load.manifest.generation)
            run, broken = run_of(each_own_server), chance.choice(others)
            for _, number in others:
                here = run if number == broken[1] else "".join(chance.choices("0123456789abcdef", k=40))
                ask(each_own_server, "HSET", KEYS.load, f"writer:{number}", here)
            await clean(pool, "qwf", batch=100, keep_interrupted=60)
        for client, number in others:
            if number == broken[1]:
                with pytest.raises(redis.ConnectionError):
                    client.ping()
            else:
                assert client.client_id() == number
    assert not ask(each_own_server, "EXISTS", KEYS.load)


async def test_an_owner_that_was_shut_out_enters_no_writer_any_more(each_own_server: Server) -> None:
    async with open_pool(each_own_server) as pool, open_pool(each_own_server) as other:
        load = await begin(pool, ttl=30)
        async with load.connection(0):
            pass
        assert len(writers(each_own_server)) == 1
        set_field(each_own_server, KEYS.load, "owner_deadline", 1)
        taken = await begin(other, manifest(), unfinished="resume")
        assert writers(each_own_server) == {}
        with pytest.raises(Refused, match="taken over"):
            async with pool.connection(KEYS.load), load.connection(0):
                raise AssertionError("it lent a connection")
        assert writers(each_own_server) == {}
        async with taken.connection(0):
            assert len(writers(each_own_server)) == 1


async def test_a_stopped_server_is_fenced_when_it_goes_on(own_server: Server) -> None:
    """Requests that lie in the server's socket are not carried out once the connection was ended."""
    async with open_node(own_server, answer_timeout=0.5, deadline=PATIENCE) as pool:
        async with pool.writing() as connection:
            first = connection.client_id
            own_server.stop()
            with pytest.raises(ServerUnavailable):
                await connection.call("INCR", "counter")
        own_server.go_on()
        assert pool.fence.given_up == {first}
        async with pool.writing() as connection:
            assert not pool.fence.given_up
            before = await connection.call("GET", "counter")
            assert await connection.call("CLIENT", "KILL", "ID", first.number if first else 0) == 0
            assert await connection.call("GET", "counter") == before


RIGHTS: dict[str, tuple[str, ...]] = {
    "client|id": ("-client|id",),
    "client|kill": ("-client|kill",),
    "info": ("-info",),
}


@pytest.mark.parametrize("right", RIGHTS)
async def test_without_the_right_to_end_connections_it_goes_on_unfenced_and_says_so(
    own_server: Server, right: str
) -> None:
    give_user(own_server, "qwf", *RIGHTS[right])
    ask(own_server, "ACL", "LOG", "RESET")
    events = Events()

    def cut() -> None:
        with own_server.plain as client:
            for other in client.client_list():
                if other["user"] == "qwf":
                    client.execute_command("CLIENT", "KILL", "ID", other["id"])

    async with store_of(own_server, "qwf") as store:
        hooks = (when_stored(3000, cut), events)
        for _ in range(2):
            await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True, hooks=hooks)
    check_points(own_server, PSI)
    assert len([text for text in events.warnings if "applied late" in text]) == 1
    assert right in denials(own_server)
    entries = ask(own_server, "ACL", "LOG")
    assert entries == []


async def test_a_load_that_was_left_unfinished_by_another_store_is_resumed_beside_it(
    own_server: Server,
) -> None:
    """The connections of a store that ended its load in order still belong to it."""
    async with qwf_async.connect(own_server.url) as store:
        await leave_unfinished(own_server, sources.array(PSI), 3000)
        await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True)
        await qwf_async.ingest(sources.array(PSI), store, "other")
    check_points(own_server, PSI)


def test_names_of_writers_are_taken_as_they_are_written() -> None:
    from qwf_async.catalog.load_connections import connections_in
    from qwf_async.client.connection import ClientId

    fields: dict[str, Any] = {"writer:12": "a" * 40, "writer:x": "b", "owner_pid": "3", "writer:": "c"}
    assert connections_in(fields) == {ClientId(number=12, run="a" * 40)}
