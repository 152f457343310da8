"""The pool against real servers: when a connection is lent, checked and closed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import qwf_async
from qwf_async.client.address import Address
from qwf_async.client.node import Node
from qwf_async.errors import ServerUnavailable
from tests.conftest import PATIENCE, Server, free_port, open_node
from tests.support.loads import clients
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


async def test_connections_that_the_server_cut_while_idle_are_no_outage(each_server: Server) -> None:
    async with open_node(each_server, size=5) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(pool.call, "BLPOP", "nothing", 0.05)
        assert pool.counts.opened == 5
        with each_server.plain as client:
            client.client_kill_filter(_type="normal", skipme=True)
        replies = []

        async def echo(i: int) -> None:
            replies.append((i, await pool.call("ECHO", i)))

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for i in range(20):
                    tasks.start_soon(echo, i)
        assert sorted(replies) == [(i, b"%d" % i) for i in range(20)]


def lie_idle(pool: Node) -> None:
    """Make the idle connections look as if they had been idle for an hour."""
    for connection in pool._idle:
        connection.used -= 3600


async def test_a_connection_that_lay_idle_is_asked_whether_it_lives(server: Server) -> None:
    async with open_node(server, keep_idle=1800) as pool:
        await pool.call("PING")
        lie_idle(pool)
        await pool.call("PING")
        assert (pool.counts.opened, pool.counts.checks, pool.counts.lost) == (1, 1, 0)
        with server.plain as client:
            client.client_kill_filter(_type="normal", skipme=True)
        lie_idle(pool)
        assert await pool.call_once("ECHO", "no error") == b"no error"
        assert (pool.counts.opened, pool.counts.checks, pool.counts.lost) == (2, 2, 1)


async def test_a_dead_connection_that_lay_idle_delays_nobody_for_long(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_node(own_server, keep_idle=1800) as pool:
        await pool.call("PING")
        lie_idle(pool)
        monkeypatch.setattr("qwf_async.client.node.CHECK_TIMEOUT", 0.1)
        monkeypatch.setattr(pool, "_connect_timeout", 0.1)
        own_server.stop()
        try:
            with anyio.fail_after(PATIENCE), pytest.raises(ServerUnavailable, match="no answer in time"):
                await pool.call_once("PING")
        finally:
            own_server.go_on()
        assert (pool.counts.timeouts, pool.counts.failed, pool.counts.success) == (2, 1, 0.5)


async def test_surplus_idle_connections_are_closed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwf_async.client.pool_state.SURPLUS_TIME", 0.05)
    async with open_node(server) as pool:
        async with AsyncExitStack() as stack:
            for _ in range(5):
                await stack.enter_async_context(pool.connection())
            await until(lambda: clients(server) == 5)
        await until(lambda: clients(server) == 1)
        assert await pool.call("ECHO", "still there") == b"still there"
        assert pool.counts.opened == 5


async def test_the_pool_lends_no_more_connections_than_its_size(server: Server) -> None:
    lent = most = 0

    async def borrow(pool: Node) -> None:
        nonlocal lent, most
        async with pool.connection() as connection:
            lent += 1
            most = max(most, lent)
            await connection.call("PING")
            await anyio.lowlevel.checkpoint()
            lent -= 1

    async with open_node(server, size=3) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(borrow, pool)
        assert most == 3
        assert pool.counts.opened == 3
        assert pool.counts.borrowed == 50
        await until(lambda: clients(server) == 3)
    await until(lambda: clients(server) == 0)


async def test_borrowers_of_a_full_pool_are_served_in_their_order(server: Server) -> None:
    served: list[int] = []

    async def borrow(pool: Node, i: int) -> None:
        for _ in range(5):
            async with pool.connection() as connection:
                served.append(i)
                await connection.call("PING")

    async with open_node(server, size=3) as pool, anyio.create_task_group() as tasks:
        for i in range(30):
            tasks.start_soon(borrow, pool, i)
    rounds = [served[start : start + 30] for start in range(0, 150, 30)]
    assert all(len(set(each)) >= 27 for each in rounds)  # the three being served come back in any order


async def test_waiting_for_a_connection_can_be_cancelled(server: Server) -> None:
    async with open_node(server, size=1) as pool:
        async with pool.connection() as held:
            with anyio.move_on_after(0.02) as scope:
                await pool.call("PING")
            assert scope.cancelled_caught
            await held.call("PING")
        assert await pool.call("ECHO", "free") == b"free"


async def test_a_wrong_address_is_told_at_once_when_connecting(tmp_path: Path) -> None:
    for url in ("redis://127.0.0.1:1", f"unix://{tmp_path}/none"):
        with anyio.fail_after(PATIENCE / 2), pytest.raises(ServerUnavailable, match="is the server there"):
            async with qwf_async.connect(url):
                pass


async def test_no_server_at_the_address_is_unavailable_at_once() -> None:
    with free_port() as port:
        for url in (f"redis://127.0.0.1:{port}", "unix:///nowhere/at-all.sock"):
            pool = Node(Address.parse(url))
            with anyio.fail_after(PATIENCE / 2), pytest.raises(ServerUnavailable, match=url):
                await pool.probe()
            assert (pool.counts.opened, pool.counts.failed) == (0, 1)
            await pool.aclose()
