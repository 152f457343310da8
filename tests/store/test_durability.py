"""What is said of how durable the data is: a sync is claimed only if the server waited for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.store.durability import sync_log
from tests.conftest import Server, new_server, open_pool
from tests.support.loads import ask, wave

pytestmark = pytest.mark.anyio
PSI = wave(1, 4, 4, 4)
KEY = "qwf:{0}:sync"


@pytest.fixture
def logging_server() -> Iterator[Server]:
    """A server that logs every write, and syncs its log to disk once a second."""
    yield from new_server("valkey", appendonly="yes", appendfsync="everysec")


def offset(server: Server) -> int:
    """How far the server's log has come."""
    with server.plain as client:
        return int(client.info("replication")["master_repl_offset"])


async def test_no_sync_is_claimed_of_a_log_that_is_never_synced(logging_server: Server) -> None:
    ask(logging_server, "CONFIG", "SET", "appendfsync", "no")
    ask(logging_server, "SET", "another", "client's")
    async with open_pool(logging_server) as pool:
        assert not await sync_log(pool, KEY, deadline=0.3)
        ask(logging_server, "CONFIG", "SET", "appendfsync", "everysec")
        assert await sync_log(pool, KEY)
    async with qwf_async.connect(logging_server.url) as store:
        ask(logging_server, "CONFIG", "SET", "appendfsync", "no")
        assert await store.secure() == "aof (no)"


async def test_a_sync_is_waited_for_that_comes_after_all_that_was_written(logging_server: Server) -> None:
    async with qwf_async.connect(logging_server.url) as store:
        before = offset(logging_server)
        assert await store.secure() == "aof (synced)"
        assert offset(logging_server) > before
        assert not logging_server.contents()

        report = await qwf_async.ingest(sources.array(PSI), store, "psi")
        assert report.durability == "aof (synced)"
        assert [facts.durability for facts in await store.facts()] == ["aof (everysec)"]
    held = logging_server.contents()
    async with qwf_async.connect(logging_server.url) as store:
        before = offset(logging_server)
        again = await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True)
        assert (again.already, again.durability) == (True, "aof (synced)")
        assert offset(logging_server) > before
    assert logging_server.contents() == held


async def test_a_full_server_syncs_too(logging_server: Server) -> None:
    async with qwf_async.connect(logging_server.url) as store:
        ask(logging_server, "CONFIG", "SET", "maxmemory", "1")
        assert await store.secure() == "aof (synced)"


@pytest.mark.parametrize("right", ["eval", "waitaof"])
async def test_without_the_rights_nothing_is_claimed(logging_server: Server, right: str) -> None:
    async with qwf_async.connect(logging_server.url) as store:
        ask(logging_server, "ACL", "SETUSER", "default", f"-{right}")
        assert await store.secure() == "aof (everysec)"


async def test_a_server_without_waitaof_claims_what_its_settings_say() -> None:
    for server in new_server("redis", appendonly="yes"):
        async with qwf_async.connect(server.url) as store:
            assert await store.secure() in ("aof (everysec)", "aof (synced)")  # Redis has it from 7.2 on
