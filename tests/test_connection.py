"""Connections that are cut, cancelled, refused and stopped; and the addresses that name a server."""

from __future__ import annotations

import math
import os
import random
import signal
import socket
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread
import pytest
from conftest import Server, new_server, open_pool
from hypothesis import assume, given
from hypothesis import strategies as st
from redis.exceptions import ResponseError

import qwf_async
from qwf_async.errors import QwfError, Refused, ServerUnavailable, UsageError
from qwf_async.server.address import Address
from qwf_async.server.connection import SEND_BYTES, Connection
from qwf_async.server.counts import ConnectionCounts
from qwf_async.server.failure import HungUp, ServerBusy, ServerCrowded
from qwf_async.server.pool import Pool, until_available

pytestmark = pytest.mark.anyio
CANCELLATIONS = 300
SESAME, WRONG = "open-sesame", "open-barley"


@pytest.fixture
def tcp_server() -> Iterator[Server]:
    """A server of the test's own that also listens on a TCP port, its option `port`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    yield from new_server("valkey", port=str(port), bind="127.0.0.1")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that only another process can bring about."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 # another process sets no event of ours
            await anyio.sleep(0.005)


def clients(server: Server) -> int:
    """Connections that the server counts, without the one that asks."""
    with server.plain as client:
        return int(client.info("clients")["connected_clients"]) - 1


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

    async def one_reply(pool: Pool) -> None:
        i = rng.randrange(1000)
        assert await pool.call("HGET", "numbers", i) == b"number %d" % i

    async def many_replies(pool: Pool) -> None:
        mine = [b"%x" % rng.getrandbits(64) for _ in range(40)]
        async with pool.connection() as connection:
            assert await connection.pipeline([("ECHO", text) for text in mine]) == mine

    async def large_reply(pool: Pool) -> None:
        mine = rng.randbytes(2 * SEND_BYTES)
        async with pool.connection() as connection:
            head, tail = b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % len(mine), b"\r\n"
            half = len(mine) // 2
            pieces: list[bytes | memoryview] = [head, memoryview(mine)[:half], memoryview(mine)[half:], tail]
            assert await connection.exchange(pieces, 1) == [mine]

    async def worker(pool: Pool) -> None:
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

    async with open_pool(each_server, size=4) as pool:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(worker, pool)
        assert clients(each_server) <= 4
    assert cancelled >= CANCELLATIONS


async def test_a_cancelled_exchange_closes_its_connection_and_the_next_opens_another(server: Server) -> None:
    async with open_pool(server) as pool, pool.connection() as connection:
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
    async with open_pool(each_server) as pool:
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
    async with open_pool(server) as pool:
        for i in range(1000):
            assert await pool.call("ECHO", i) == b"%d" % i
        assert (pool.counts.opened, pool.counts.borrowed, pool.counts.failed) == (1, 1000, 0)


async def test_patience_bounds_the_time_without_progress_and_not_the_whole(server: Server) -> None:
    slow: list[list[str | float]] = [["BLPOP", "nothing", 0.06]] * 15
    async with open_pool(server) as pool, pool.connection() as connection:
        assert await connection.pipeline(slow, patience=0.7) == [None] * 15
        assert await connection.pipeline(slow[:2], patience=math.inf) == [None] * 2
        with pytest.raises(ServerUnavailable, match="no answer in time"):
            await connection.call("BLPOP", "nothing", 0, patience=0.1)
        assert not connection.is_open


async def test_a_server_that_is_killed_between_two_calls_is_found_again(own_server: Server) -> None:
    async with open_pool(own_server, deadline=0.2) as pool:
        await pool.call("PING")
        own_server.kill()
        with anyio.fail_after(5):
            with pytest.raises(ServerUnavailable) as raised:
                await pool.call("PING")
        assert own_server.url in str(raised.value)
        await anyio.to_thread.run_sync(own_server.start)
        assert await pool.call("ECHO", "back") == b"back"


async def test_a_server_that_is_killed_during_a_call_is_found_again(own_server: Server) -> None:
    errors: list[Exception] = []

    async def wait(connection: Connection) -> None:
        try:
            await connection.call("BLPOP", "nothing", 0, patience=math.inf)
        except ServerUnavailable as error:
            errors.append(error)

    async with open_pool(own_server) as pool, pool.connection() as connection:
        with anyio.fail_after(20):
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

    async def call(pool: Pool) -> None:
        replies.append(await pool.call("ECHO", "patient"))

    async with open_pool(own_server, deadline=20) as pool:
        own_server.kill()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, pool)
            await until(lambda: pool.counts.failed >= 2)
            await anyio.to_thread.run_sync(own_server.start)
        assert replies == [b"patient"]


async def test_a_stopped_server_is_unavailable_within_the_timeouts_and_leaves_no_socket(
    own_server: Server,
) -> None:
    assert own_server.process is not None
    before = sockets()
    pools = open_pool(own_server, answer_timeout=0.2, connect_timeout=0.3)
    async with pools as pool, pool.connection() as connection:
        await connection.call("PING")
        own_server.process.send_signal(signal.SIGSTOP)
        try:
            for _ in ("over the connection that is open", "over a new one, which the kernel accepts"):
                with anyio.fail_after(5), pytest.raises(ServerUnavailable, match="no answer in time"):
                    await connection.call("PING")
                assert not connection.is_open
            await until(lambda: sockets() == before)
        finally:
            own_server.process.send_signal(signal.SIGCONT)
        assert await connection.call("ECHO", "awake") == b"awake"


async def test_a_peer_that_takes_nothing_is_unavailable_and_what_was_to_be_sent_is_dropped(
    own_server: Server,
) -> None:
    assert own_server.process is not None
    before = sockets()
    value = bytes(8 * SEND_BYTES)
    request = [b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % len(value), value, b"\r\n"]
    async with open_pool(own_server, answer_timeout=0.2) as pool, pool.connection() as connection:
        await connection.call("PING")
        own_server.process.send_signal(signal.SIGSTOP)
        try:
            with anyio.fail_after(5), pytest.raises(ServerUnavailable):
                await connection.exchange(request * 4, 4)
            await until(lambda: sockets() == before)
        finally:
            own_server.process.send_signal(signal.SIGCONT)
        assert await connection.call("EXISTS", "k") == 0


async def test_connections_that_the_server_cut_while_idle_are_no_outage(each_server: Server) -> None:
    async with open_pool(each_server, size=5) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(pool.call, "BLPOP", "nothing", 0.05)
        assert pool.counts.opened == 5
        with each_server.plain as client:
            client.client_kill_filter(_type="normal", skipme=True)
        replies = []

        async def echo(i: int) -> None:
            replies.append((i, await pool.call("ECHO", i)))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for i in range(20):
                    tasks.start_soon(echo, i)
        assert sorted(replies) == [(i, b"%d" % i) for i in range(20)]


async def idle_for(seconds: float) -> None:
    end = anyio.current_time() + seconds
    while anyio.current_time() < end:
        await anyio.lowlevel.checkpoint()


async def test_a_connection_that_lay_idle_is_asked_whether_it_lives(server: Server) -> None:
    async with open_pool(server, keep_idle=0.01) as pool:
        await pool.call("PING")
        await idle_for(0.02)
        await pool.call("PING")
        assert (pool.counts.opened, pool.counts.checks, pool.counts.lost) == (1, 1, 0)
        with server.plain as client:
            client.client_kill_filter(_type="normal", skipme=True)
        await idle_for(0.02)
        assert await pool.call_once("ECHO", "no error") == b"no error"
        assert (pool.counts.opened, pool.counts.checks, pool.counts.lost) == (2, 2, 1)


async def test_a_dead_connection_that_lay_idle_delays_nobody_for_long(own_server: Server) -> None:
    assert own_server.process is not None
    async with open_pool(own_server, keep_idle=0.01, answer_timeout=0.1, connect_timeout=0.1) as pool:
        await pool.call("PING")
        await idle_for(0.02)
        own_server.process.send_signal(signal.SIGSTOP)
        try:
            with anyio.fail_after(5), pytest.raises(ServerUnavailable, match="no answer in time"):
                await pool.call_once("PING")
        finally:
            own_server.process.send_signal(signal.SIGCONT)
        assert (pool.counts.timeouts, pool.counts.failed, pool.counts.success) == (2, 1, 0.5)


async def test_surplus_idle_connections_are_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwf_async.server.pool.SURPLUS", 0.05)
    async with open_pool(server) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(pool.call, "BLPOP", "nothing", 0.05)
        assert clients(server) == 5
        await until(lambda: clients(server) == 1)
        assert await pool.call("ECHO", "still there") == b"still there"
        assert pool.counts.opened == 5


async def test_the_pool_lends_no_more_connections_than_its_size(server: Server) -> None:
    lent = most = 0

    async def borrow(pool: Pool) -> None:
        nonlocal lent, most
        async with pool.connection() as connection:
            lent += 1
            most = max(most, lent)
            await connection.call("PING")
            await anyio.lowlevel.checkpoint()
            lent -= 1

    async with open_pool(server, size=3) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(borrow, pool)
        assert most == 3
        assert pool.counts.opened == 3
        assert pool.counts.borrowed == 50
        assert clients(server) == 3
    await until(lambda: clients(server) == 0)


async def test_borrowers_of_a_full_pool_are_served_in_their_order(server: Server) -> None:
    served: list[int] = []

    async def borrow(pool: Pool, i: int) -> None:
        for _ in range(5):
            await pool.call("PING")
            served.append(i)

    async with open_pool(server, size=3) as pool, anyio.create_task_group() as tasks:
        for i in range(30):
            tasks.start_soon(borrow, pool, i)
    rounds = [served[start : start + 30] for start in range(0, 150, 30)]
    assert all(len(set(each)) >= 27 for each in rounds)  # the three being served may end in any order


async def test_waiting_for_a_connection_can_be_cancelled(server: Server) -> None:
    async with open_pool(server, size=1) as pool:
        async with pool.connection() as held:
            with anyio.move_on_after(0.02) as scope:
                await pool.call("PING")
            assert scope.cancelled_caught
            await held.call("PING")
        assert await pool.call("ECHO", "free") == b"free"


@pytest.mark.parametrize("over", ["unix", "tcp"])
async def test_a_server_that_wants_a_password_refuses_and_is_not_asked_again(
    tcp_server: Server, over: str
) -> None:
    with tcp_server.plain as client:
        client.config_set("requirepass", SESAME)
        client.execute_command("AUTH", SESAME)
        client.acl_setuser("narrow", enabled=True, passwords=["+poor"], commands=["+get", "+ping"], keys="*")
    url = tcp_server.url if over == "unix" else f"redis://127.0.0.1:{tcp_server.options['port']}"
    authority, path = ("unix://{}@", str(tcp_server.socket)) if over == "unix" else ("redis://{}@", url[8:])
    cases: list[tuple[Address, str, str]] = [
        (Address.parse(url), "wants a password", ""),
        (
            Address.parse(url, password=WRONG),
            "does not accept this user name and password",
            WRONG,
        ),
        (Address.parse(authority.format("someone:wrong-two") + path), "does not accept", "wrong-two"),
        (Address.parse(authority.format("narrow:poor") + path), "lacks a permission.*'set'", "poor"),
    ]
    for address, message, secret in cases:
        pool = Pool(address, deadline=60)
        try:
            with anyio.fail_after(5), pytest.raises(Refused, match=message) as raised:
                await pool.call("SET", "k", "v")
        finally:
            await pool.aclose()
        if secret:
            assert secret not in "".join(traceback.format_exception(raised.value)).replace("'set'", "")
    pool = Pool(Address.parse(url, password=SESAME))
    try:
        assert await pool.call("ECHO", "open") == b"open"
    finally:
        await pool.aclose()


async def test_tcp_addresses_and_databases_work(tcp_server: Server) -> None:
    port = tcp_server.options["port"]
    for url in (f"redis://127.0.0.1:{port}/3", f"valkey://localhost:{port}?db=3", f"{tcp_server.url}?db=3"):
        pool = Pool(Address.parse(url))
        try:
            await pool.call("INCR", "visits")
        finally:
            await pool.aclose()
    with tcp_server.plain as client:
        assert not client.exists("visits")
        client.select(3)
        assert client.get("visits") == b"3"


@pytest.fixture(params=["valkey unix", "valkey tcp", "redis unix", "redis tcp"])
def crowded(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Address]]:
    """A server with room for 3 clients, and its address."""
    software, over = request.param.split()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for server in new_server(software, port=port, bind="127.0.0.1", maxclients="3"):
        yield server, Address.parse(server.url if over == "unix" else f"redis://127.0.0.1:{port}")


async def test_a_crowded_server_is_told_from_one_that_is_away(crowded: tuple[Server, Address]) -> None:
    server, address = crowded
    counts = ConnectionCounts()
    refused = Connection(address, connect_timeout=5, answer_timeout=5, counts=counts)
    async with open_pool(server) as pool:
        async with pool.connection() as a, pool.connection() as b, pool.connection() as c:
            for each in (a, b, c):
                await each.call("PING")
            for _ in range(50):
                with pytest.raises(ServerCrowded, match="no room for another client"):
                    await refused.call("PING")
            assert (counts.turned_away, counts.failed, counts.opened) == (50, 0, 0)
        await pool.aclose()
    await refused.aclose()


async def test_borrowers_queue_for_a_crowded_server(crowded: tuple[Server, Address]) -> None:
    _, address = crowded
    pools = [Pool(address, deadline=0) for _ in range(4)]  # so no call is tried again
    replies: list[int] = []

    async def ask(pool: Pool, i: int) -> None:
        replies.append(int(await pool.call("ECHO", i)))

    try:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for i in range(100):
                    tasks.start_soon(ask, pools[0], i)
            assert sorted(replies) == list(range(100))
            assert pools[0].counts.opened <= 3
            async with anyio.create_task_group() as tasks:
                for pool in pools[1:]:  # only two of these find room, until the first pool closes its own
                    tasks.start_soon(ask, pool, -1)
                await pools[0].aclose()
        assert sum(pool.counts.lost + pool.counts.failed for pool in pools) == 0
    finally:
        for pool in pools:
            await pool.aclose()


async def test_standing_in_line_can_be_cancelled_and_ends(
    crowded: tuple[Server, Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwf_async.server.pool.QUEUEING", 0.3)
    server, address = crowded
    late = Pool(address)
    async with open_pool(server) as pool, pool.connection() as a, pool.connection(), pool.connection():
        with anyio.move_on_after(0.1) as scope:
            await late.call("PING")
        assert scope.cancelled_caught
        with anyio.fail_after(10), pytest.raises(ServerCrowded, match="no room"):
            await late.probe()
        await a.aclose()
        assert await late.call("ECHO", "in") == b"in"
    await late.aclose()


async def test_a_proxy_that_hangs_up_is_borne_for_a_moment_and_no_longer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwf_async.server.pool.SILENCE", 0.3)
    accepted = 0

    async def hang_up(client: anyio.abc.SocketStream) -> None:
        nonlocal accepted
        accepted += 1
        await client.aclose()

    with TemporaryDirectory(prefix="qwf-") as directory:
        async with (
            await anyio.create_unix_listener(f"{directory}/s") as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listener.serve, hang_up)
            pool = Pool(Address.parse(f"unix://{directory}/s"))
            with anyio.fail_after(5), pytest.raises(HungUp, match="hung up without a word"):
                await pool.probe()
            assert accepted > 1
            before = accepted
            with pytest.raises(HungUp):
                await pool.probe()
            assert accepted == before + 1
            tasks.cancel_scope.cancel()


async def test_connecting_survives_a_connection_that_is_killed_at_once(each_server: Server) -> None:
    for _ in range(15):
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, kill_all_clients, each_server)
                async with qwf_async.connect(each_server.url) as store:
                    await store.pool.call("PING")


def kill_all_clients(server: Server) -> None:
    with server.plain as client:
        for _ in range(20):
            client.client_kill_filter(_type="normal", skipme=True)


async def test_a_wrong_address_is_told_at_once_when_connecting(tmp_path: Path) -> None:
    for url in ("redis://127.0.0.1:1", f"unix://{tmp_path}/none"):
        with anyio.fail_after(3), pytest.raises(ServerUnavailable, match="is the server there"):
            async with qwf_async.connect(url):
                pass


async def test_no_server_at_the_address_is_unavailable_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for url in (f"redis://127.0.0.1:{free.getsockname()[1]}", "unix:///nowhere/at-all.sock"):
            pool = Pool(Address.parse(url))
            with anyio.fail_after(3), pytest.raises(ServerUnavailable, match=url):
                await pool.probe()
            assert (pool.counts.opened, pool.counts.failed) == (0, 1)
            await pool.aclose()


async def test_a_server_that_is_loading_is_busy_and_is_waited_for(own_server: Server) -> None:
    with own_server.plain as client:
        client.mset({f"key {i}": "x" * 200 for i in range(2000)})
        client.save()
    own_server.kill()
    own_server.options |= {"key-load-delay": "500", "loading-process-events-interval-bytes": "1024"}
    await anyio.to_thread.run_sync(own_server.start)
    async with open_pool(own_server) as pool:
        with pytest.raises(ServerBusy, match="still loading"):
            await pool.probe()
        assert await pool.call("DBSIZE") == 2000


async def test_until_available_tries_again_only_what_may_be_tried_again() -> None:
    tries = 0

    def failing_with(error: QwfError) -> Callable[[], Awaitable[Any]]:
        async def operation() -> Any:
            nonlocal tries
            tries += 1
            raise error

        return operation

    with pytest.raises(Refused, match="no"):
        await until_available(failing_with(Refused("no")), 60)
    assert tries == 1
    tries = 0
    begun = anyio.current_time()
    with pytest.raises(ServerUnavailable, match="away"):
        await until_available(failing_with(ServerUnavailable("away")), 0.3)
    assert tries > 1
    assert anyio.current_time() - begun < 2


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("redis://", "redis://localhost:6379", {}),
        ("redis://h", "redis://h:6379", {"host": "h"}),
        ("redis://h:7000/3", "redis://h:7000/3", {"host": "h", "port": 7000, "db": 3}),
        ("redis://h?db=4", "redis://h:6379", {"host": "h", "db": 4}),
        ("redis://:pw@h", "redis://:***@h:6379", {"host": "h", "password": "pw"}),
        ("redis://me:pw@h", "redis://me:***@h:6379", {"host": "h", "username": "me", "password": "pw"}),
        ("redis://:p%40s%2Fs%3A%23@h", "redis://:***@h:6379", {"host": "h", "password": "p@s/s:#"}),
        ("redis://h?password=pw", "redis://:***@h:6379", {"host": "h", "password": "pw"}),
        ("valkey://h:1", "redis://h:1", {"host": "h", "port": 1}),
        ("redis://[::1]:6380", "redis://[::1]:6380", {"host": "::1", "port": 6380}),
        ("unix:///run/r.sock", "unix:///run/r.sock", {"path": "/run/r.sock"}),
        ("unix:///a%20b.sock?db=2", "unix:///a b.sock", {"path": "/a b.sock", "db": 2}),
        (
            "unix://me:pw@/run/r.sock",
            "unix:///run/r.sock",
            {"path": "/run/r.sock", "username": "me", "password": "pw"},
        ),
        ("rediss://h", "rediss://h:6379", {"host": "h"}),
        ("valkeys://h?ssl_ca_certs=/ca.pem", "rediss://h:6379", {"host": "h", "ssl_ca_certs": "/ca.pem"}),
    ],
)
def test_a_url_becomes_options_and_is_shown_without_its_password(
    url: str, shown: str, options: dict[str, Any]
) -> None:
    address = Address.parse(url)
    assert address.shown == shown
    kinds = {"rediss": "TLSConnection", "unix": "UnixDomainSocketConnection"}
    kind = address.options.pop("connection_class", None)
    assert getattr(kind, "__name__", None) == kinds.get(shown.partition(":")[0])
    assert address.options == options


def test_a_password_of_its_own_outranks_that_of_the_url() -> None:
    address = Address.parse("redis://me:old@h", password=SESAME)
    assert address.options["password"] == SESAME
    assert address.shown == "redis://me:***@h:6379"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("redis://", True),
        ("redis://localhost", True),
        ("redis://127.0.0.1:7000", True),
        ("redis://[::1]", True),
        ("unix:///s", True),
        ("redis://example.org", False),
        ("rediss://10.0.0.1", False),
    ],
)
def test_whether_a_server_is_on_this_machine(url: str, local: bool) -> None:
    assert Address.parse(url).is_local is local


BAD_URLS = [
    "", "localhost", "localhost:6379", "http://h", "redis.sock", "redis://h:port", "redis://h:99999",
    "redis://h:-1", "redis://h/x", "redis://h/1/2", "redis://h?db=x", "redis://[::1", "unix://", "unix://run/r.sock",
    "redis://h?socket_timeout=soon", "redis://h?no_such_option=1", "redis://h?max_connections=10",
    "redis://h?decode_responses=1", "redis://h?connection_class=x", "redis://h?ssl_ca_certs=/ca.pem",
    "redis://h?path=/s", "rediss://h?ssl_cert_reqs=perhaps",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_that_makes_no_sense_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        Address.parse(url)
    assert "\n" not in str(raised.value)


def parsed(url: str) -> tuple[Address | None, str]:
    """The address, if it is one, and all that a user would be shown. A connection can be made from it."""
    try:
        address = Address.parse(url)
    except UsageError as error:
        return None, "".join(traceback.format_exception(error, chain=True))
    Pool(address)._new()  # hands the options to redis-py, which takes no others than its own
    return address, f"{address.shown} {address!r}"


@given(
    st.text() | st.builds("{}://{}".format, st.sampled_from(["redis", "rediss", "valkey", "unix"]), st.text())
)
def test_any_text_is_an_address_or_a_usage_error(text: str) -> None:
    parsed(text)


nasty = st.text(st.sampled_from("ab1:/?#@[]%&=. \\\tü℀"), max_size=6)
SECRET = "Qz7secret"


@given(
    st.sampled_from(["redis", "rediss", "valkeys", "unix", "http"]),
    st.sampled_from(["", "me"]),
    nasty,
    nasty,
    st.sampled_from(["h", "h:7000/2", "[::1]:1", "", "h:port", "h/x", "/run/s"]),
)
def test_a_password_is_never_shown(scheme: str, user: str, before: str, after: str, rest: str) -> None:
    url = f"{scheme}://{user}:{before}{SECRET}{after}@{rest}"
    assume(scheme != "unix" or "@/" not in url.partition(SECRET)[0])  # then it is the path of the socket
    _, shown = parsed(url)
    assert SECRET not in shown
    _, shown = parsed(f"{scheme}://{rest}?password={SECRET}")
    assert SECRET not in shown
