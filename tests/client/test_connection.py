"""Connections that are cut, cancelled, stopped and killed, and what is tried again."""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from redis.exceptions import ResponseError

import qwf_async
from qwf_async.client.connection import SEND_BYTES, Connection
from qwf_async.client.failure import ServerBusy
from qwf_async.client.node import Node
from qwf_async.client.reply import is_text
from qwf_async.client.retry import Retry, until_available
from qwf_async.errors import ServerUnavailable
from tests.conftest import PATIENCE, Server, open_node
from tests.support.loads import clients
from tests.support.waiting import until

pytestmark = pytest.mark.anyio
CANCELLATIONS = 300


def sockets() -> set[str]:
    paths = (f"/proc/self/fd/{entry}" for entry in os.listdir("/proc/self/fd"))
    return {target for path in paths if os.path.lexists(path) and "socket:" in (target := os.readlink(path))}


async def test_replies_are_never_mixed_after_random_cancellation(each_server: Server) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # pytest shows it with a failure
    rng = random.Random(seed)
    with each_server.plain as client:
        client.hset("numbers", mapping={str(i): f"number {i}" for i in range(1000)})
    cancelled = completed = 0

    async def one_reply(pool: Node) -> None:
        i = rng.randrange(1000)
        assert await pool.call("HGET", "numbers", i) == b"number %d" % i

    async def many_replies(pool: Node) -> None:
        mine = [b"%x" % rng.getrandbits(64) for _ in range(40)]
        async with pool.connection() as connection:
            assert await connection.pipeline([("ECHO", text) for text in mine]) == mine

    async def large_reply(pool: Node) -> None:
        mine = rng.randbytes(2 * SEND_BYTES)
        async with pool.connection() as connection:
            head, tail = b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % len(mine), b"\r\n"
            half = len(mine) // 2
            pieces: list[bytes | memoryview] = [head, memoryview(mine)[:half], memoryview(mine)[half:], tail]
            assert await connection.exchange(pieces, 1) == [mine]

    async def worker(pool: Node) -> None:
        nonlocal cancelled, completed
        while cancelled < CANCELLATIONS or completed < CANCELLATIONS:
            operation = rng.choice([one_reply, one_reply, many_replies, large_reply])
            with anyio.CancelScope() as scope:
                if rng.random() < 0.5:
                    scope.deadline = anyio.current_time() + rng.expovariate(1 / 0.002)
                    await operation(pool)
                else:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(operation, pool)
                        for _ in range(rng.randrange(60)):
                            await anyio.lowlevel.checkpoint()
                        if rng.random() < 0.8:
                            scope.cancel()
            cancelled += scope.cancelled_caught
            completed += not scope.cancelled_caught

    async with open_node(each_server, size=4) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(worker, pool)
        await until(lambda: clients(each_server) <= 4)
    assert cancelled >= CANCELLATIONS


async def test_a_cancelled_exchange_closes_its_connection_and_the_next_opens_another(server: Server) -> None:
    async with open_node(server) as pool, pool.connection() as connection:
        await connection.call("PING")
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connection.call, "BLPOP", "nothing", 0)
                await until(lambda: blocked(server) == 1)
                scope.cancel()
        assert not connection.is_open
        assert await connection.call("ECHO", "fresh") == b"fresh"
        assert pool.counts.opened == 2


def blocked(server: Server) -> int:
    with server.plain as client:
        return int(client.info("clients")["blocked_clients"])


async def test_error_replies_stand_in_their_place_and_keep_the_connection(each_server: Server) -> None:
    async with open_node(each_server) as pool:
        async with pool.connection() as connection:
            replies = await connection.pipeline(
                [["SET", "k", 1], ["HGET", "k", "f"], ["ECHO", "a"], ["NOSUCH"], ["ECHO", "b"]]
            )
        assert [replies[i] for i in (0, 2, 4)] == [b"OK", b"a", b"b"]
        assert isinstance(replies[1], ResponseError)
        assert str(replies[1]).startswith("WRONGTYPE")
        assert isinstance(replies[3], ResponseError)
        assert await pool.call("ECHO", "in step") == b"in step"
        assert pool.counts.opened == 1


async def test_a_thousand_calls_share_one_connection(server: Server) -> None:
    async with open_node(server) as pool:
        for i in range(1000):
            assert await pool.call("ECHO", i) == b"%d" % i
        assert (pool.counts.opened, pool.counts.borrowed, pool.counts.failed) == (1, 1000, 0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # whose clock can be set
async def test_stall_timeout_bounds_the_time_without_progress_and_not_the_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    async with open_node(server) as pool, pool.connection() as connection:
        await connection.call("PING")
        stream = connection._connection._reader
        assert stream is not None
        read = stream.read

        async def read_late(_most: int) -> bytes:
            nonlocal now
            now += 0.5
            for _ in range(3):  # so that the loop sees what time it is, and acts by it
                await anyio.lowlevel.checkpoint()
            return await read(len(b"$1\r\nx\r\n"))

        monkeypatch.setattr(stream, "read", read_late)
        assert await connection.pipeline([("ECHO", "x")] * 15, stall_timeout=0.7) == [b"x"] * 15
        with pytest.raises(ServerUnavailable, match="no answer in time"):
            await connection.pipeline([("ECHO", "x")], stall_timeout=0.3)
        assert not connection.is_open


async def test_stall_timeout_may_be_short_or_without_end(server: Server) -> None:
    async with open_node(server) as pool, pool.connection() as connection:
        assert await connection.call("BLPOP", "nothing", 0.05, stall_timeout=math.inf) is None
        with pytest.raises(ServerUnavailable, match="no answer in time"):
            await connection.call("BLPOP", "nothing", 0, stall_timeout=0.1)
        assert not connection.is_open


async def test_a_server_that_is_killed_between_two_calls_is_found_again(own_server: Server) -> None:
    async with open_node(own_server, deadline=0.2) as pool:
        await pool.call("PING")
        own_server.kill()
        with anyio.fail_after(PATIENCE / 2), pytest.raises(ServerUnavailable) as raised:
            await pool.call("PING")
        assert own_server.url in str(raised.value)
        await anyio.to_thread.run_sync(own_server.start)
        assert await pool.call("ECHO", "back") == b"back"


async def test_a_server_that_is_killed_during_a_call_is_found_again(own_server: Server) -> None:
    errors: list[Exception] = []

    async def wait(connection: Connection) -> None:
        try:
            await connection.call("BLPOP", "nothing", 0, stall_timeout=math.inf)
        except ServerUnavailable as error:
            errors.append(error)

    async with open_node(own_server) as pool, pool.connection() as connection:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, connection)
            await until(lambda: blocked(own_server) == 1)
            own_server.kill()
        assert len(errors) == 1
        assert not connection.is_open
        await anyio.to_thread.run_sync(own_server.start)
        assert await connection.call("ECHO", "back") == b"back"


async def test_a_call_goes_on_when_the_server_comes_back_in_time(own_server: Server) -> None:
    replies: list[bytes] = []

    async def call(pool: Node) -> None:
        replies.append(await pool.call("ECHO", "patient"))

    async with open_node(own_server, deadline=2 * PATIENCE) as pool:
        own_server.kill()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, pool)
            await until(lambda: pool.counts.failed >= 2)
            await anyio.to_thread.run_sync(own_server.start)
        assert replies == [b"patient"]


@pytest.fixture
def going_on(own_server: Server) -> Iterator[None]:
    """A server that a test has stopped continues at the end of it."""
    yield
    own_server.go_on()


async def echoed(connection: Connection, text: str) -> bytes:
    """The reply of a server that is there, even if it takes longer than the timeouts of the connection."""
    return await until_available(
        lambda: connection.call("ECHO", text, expect=is_text), Retry(deadline=PATIENCE)
    )


@pytest.mark.usefixtures("going_on")
async def test_a_stopped_server_is_unavailable_within_the_timeouts_and_leaves_no_socket(
    own_server: Server,
) -> None:
    before = sockets()
    pools = open_node(own_server, answer_timeout=0.2, connect_timeout=0.3)
    async with pools as pool, pool.connection() as connection:
        assert await echoed(connection, "there") == b"there"
        own_server.stop()
        for _ in ("over the connection that is open", "over a new one, which the kernel accepts"):
            with anyio.fail_after(PATIENCE), pytest.raises(ServerUnavailable, match="no answer in time"):
                await connection.call("PING")
            assert not connection.is_open
        await until(lambda: sockets() == before)
        own_server.go_on()
        assert await echoed(connection, "awake") == b"awake"


@pytest.mark.usefixtures("going_on")
async def test_a_peer_that_takes_nothing_is_unavailable_and_what_was_to_be_sent_is_dropped(
    own_server: Server,
) -> None:
    before = sockets()
    value = bytes(8 * SEND_BYTES)
    request = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % len(value), value, b"\r\n"]
    async with open_node(own_server, answer_timeout=0.2) as pool, pool.connection() as connection:
        assert await echoed(connection, "there") == b"there"
        own_server.stop()
        with anyio.fail_after(PATIENCE), pytest.raises(ServerUnavailable):
            await connection.exchange(request * 4, 4)
        await until(lambda: sockets() == before)
        own_server.go_on()
        assert await echoed(connection, "awake") == b"awake"
        assert await pool.call("EXISTS", "k") == 0


async def test_connecting_survives_a_connection_that_is_killed_at_once(each_server: Server) -> None:
    for _ in range(8):
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, kill_all_clients, each_server)
                async with qwf_async.connect(each_server.url) as store:
                    await store.pool.call("EXISTS", "k")


def kill_all_clients(server: Server) -> None:
    with server.plain as client:
        for _ in range(20):
            client.client_kill_filter(_type="normal", skipme=True)


async def test_a_server_that_is_loading_is_busy_and_is_waited_for(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_server.plain as client:
        client.config_set("rdbcompression", "no")
        client.mset({f"key {i}": "x" * 1000 for i in range(400)})
        client.save()
    own_server.kill()
    # It would take 20 s, and hears after each key what it is told.
    own_server.options |= {"key-load-delay": "50000", "loading-process-events-interval-bytes": "1024"}
    await anyio.to_thread.run_sync(own_server.start)
    async with open_node(own_server) as pool:
        with pytest.raises(ServerBusy, match="still loading"):
            await pool.probe()
        call_once, busy = pool.call_once, 0

        async def call_and_hasten(*command: Any, **options: Any) -> Any:
            nonlocal busy
            try:
                return await call_once(*command, **options)
            except ServerBusy:
                busy += 1
                with own_server.plain as client:
                    client.config_set("key-load-delay", 0)
                raise

        monkeypatch.setattr(pool, "call_once", call_and_hasten)
        assert await pool.call("DBSIZE") == 400
        assert busy > 0
