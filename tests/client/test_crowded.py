"""A server with no room for another client: borrowers stand in line, and it is no outage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import anyio
import anyio.abc
import pytest

from qwf_async.client.address import Address
from qwf_async.client.connection import Connection
from qwf_async.client.counts import ConnectionCounts
from qwf_async.client.failure import HungUp, ServerCrowded
from qwf_async.client.node import Node
from qwf_async.client.retry import Retry
from tests.conftest import PATIENCE, Server, free_port, new_server, open_node

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["valkey unix", "valkey tcp", "redis unix", "redis tcp"])
def crowded(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Address]]:
    """A server with room for 3 clients, and its address."""
    software, over = request.param.split()
    with free_port() as port:
        for server in new_server(software, port=str(port), bind="127.0.0.1", maxclients="3"):
            yield server, Address.parse(server.url if over == "unix" else f"redis://127.0.0.1:{port}")


async def test_a_crowded_server_is_told_from_one_that_is_away(crowded: tuple[Server, Address]) -> None:
    server, address = crowded
    counts = ConnectionCounts()
    refused = Connection(address, connect_timeout=PATIENCE, answer_timeout=PATIENCE, counts=counts)
    async with open_node(server) as pool:
        async with pool.connection() as a, pool.connection() as b, pool.connection() as c:
            for each in (a, b, c):
                await each.call("PING")
            for _ in range(50):
                with pytest.raises(ServerCrowded, match="no room for another client"):
                    await refused.call("PING")
            assert (counts.turned_away, counts.failed, counts.opened) == (50, 0, 0)
        await pool.aclose()
    refused.close()


async def test_borrowers_queue_for_a_crowded_server(crowded: tuple[Server, Address]) -> None:
    _, address = crowded
    pools = [Node(address, deadline=0) for _ in range(4)]  # so no call is tried again
    replies: list[int] = []

    async def ask(pool: Node, i: int) -> None:
        replies.append(int(await pool.call("ECHO", i)))

    try:
        with anyio.fail_after(PATIENCE):
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
    monkeypatch.setattr("qwf_async.client.pool_state.QUEUE", Retry(deadline=0.3))
    server, address = crowded
    late = Node(address)
    async with open_node(server) as pool, pool.connection() as a, pool.connection(), pool.connection():
        with anyio.move_on_after(0.1) as scope:
            await late.call("PING")
        assert scope.cancelled_caught
        with anyio.fail_after(PATIENCE), pytest.raises(ServerCrowded, match="no room"):
            await late.probe()
        a.close()
        assert await late.call("ECHO", "in") == b"in"
    await late.aclose()


async def test_a_proxy_that_hangs_up_is_borne_for_a_moment_and_no_longer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwf_async.client.pool_state.MAX_SILENCE", 0.3)
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
            pool = Node(Address.parse(f"unix://{directory}/s"))
            with anyio.fail_after(PATIENCE), pytest.raises(HungUp, match="hung up without a word"):
                await pool.probe()
            assert accepted > 1
            before = accepted
            with pytest.raises(HungUp):
                await pool.probe()
            assert accepted == before + 1
            tasks.cancel_scope.cancel()


async def test_who_waits_for_room_without_any_connection_is_told_so_once(
    crowded: tuple[Server, Address], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Told(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            told.set()
            return True

    monkeypatch.setattr("qwf_async.client.pool_state.WARN_AFTER", 0.1)
    server, address = crowded
    told = anyio.Event()
    async with open_node(server) as others, anyio.create_task_group() as tasks:
        pool = Node(address)
        with anyio.fail_after(PATIENCE), caplog.filtering(Told()):
            async with others.connection() as a, others.connection() as b, others.connection() as c:
                for each in (a, b, c):
                    await each.call("PING")
                tasks.start_soon(pool.probe)
                tasks.start_soon(pool.probe)
                await told.wait()
                await anyio.sleep(0.3)
            await others.aclose()
        await anyio.wait_all_tasks_blocked()
    await pool.aclose()
    (record,) = caplog.records
    assert "no room for another client; waiting for room, at most 10 minutes" in record.getMessage()
