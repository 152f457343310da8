"""A server that turns to the data of another while a load is published: it must not be shown with holes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from qwf_async.catalog import scripts
from qwf_async.catalog.journal import read_journal_over
from qwf_async.errors import DataLost
from tests.conftest import PATIENCE, Server, free_port, new_server, open_pool
from tests.support.handmade import KEYS, begin, fields_at, fill


@pytest.fixture
def other(each_own_server: Server) -> Iterator[int]:
    """The port of an empty server of the same software."""
    with free_port() as port:
        options = {"port": str(port), "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"}
        for _ in new_server(each_own_server.software, **options):
            yield port


def turn_to(server: Server, port: int) -> None:
    """Let the server take over the data of the one at the port, and then go on by itself."""
    with server.plain as client:
        client.execute_command("REPLICAOF", "127.0.0.1", port)
        end = time.monotonic() + PATIENCE
        while client.info("replication")["master_link_status"] != "up":
            assert time.monotonic() < end
            time.sleep(0.02)
        client.execute_command("REPLICAOF", "NO", "ONE")


def then(happens: Callable[[], None], job: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def done_and_then(*arguments: Any, **options: Any) -> Any:
        result = await job(*arguments, **options)
        happens()
        return result

    return done_and_then


@pytest.mark.anyio
async def test_a_journal_that_was_read_of_other_data_publishes_nothing(
    each_own_server: Server, other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pool(each_own_server) as pool:
        load = await begin(pool)
        await fill(pool, load)
        read = then(lambda: turn_to(each_own_server, other), read_journal_over)
        monkeypatch.setattr("qwf_async.catalog.confirmation.read_journal_over", read)
        with pytest.raises(DataLost, match="is gone from the server"):
            await load.publish(1.0)
        assert not each_own_server.contents()


@pytest.mark.anyio
async def test_other_data_after_the_script_are_said(
    each_own_server: Server, other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_pool(each_own_server) as pool:
        load = await begin(pool)
        await fill(pool, load)
        publish = then(lambda: turn_to(each_own_server, other), scripts.publish)
        monkeypatch.setattr(scripts, "publish", publish)
        with pytest.raises(DataLost, match="is gone from the server"):
            await load.publish(1.0)


@pytest.mark.anyio
async def test_a_server_that_forbids_info_is_published_to(each_own_server: Server) -> None:
    with each_own_server.plain as client:
        client.execute_command("ACL", "SETUSER", "default", "-info")
    async with open_pool(each_own_server) as pool:
        load = await begin(pool)
        await fill(pool, load)
        new = await load.publish(1.0)
        assert fields_at(each_own_server, KEYS.meta) == new.to_fields()
