"""Servers that become a replica, or are busy with a script.

What is stored is read by plain redis-py and compared with the source bit for bit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread
import pytest
import redis

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import QwfError
from qwf_async.events import Event, Retried
from tests.conftest import PATIENCE, Server, free_port, new_server
from tests.support.loads import (
    ask,
    check_alone,
    check_points,
    claim_over,
    published,
    wave,
    when_stored,
)
from tests.support.loops import ON_UVLOOP

PSI = wave(6, 10, 10, 10)


@pytest.fixture(params=["valkey", "redis"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica, in step."""
    start = partial(new_server, request.param, **{"repl-diskless-sync-delay": "0", "bind": "127.0.0.1"})
    with free_port() as one, free_port() as other:
        for primary in start(port=str(one)):
            for replica in start(port=str(other)):
                follow(replica, primary)
                wait_in_step(replica)
                yield primary, replica


def follow(replica: Server, primary: Server) -> None:
    ask(replica, "REPLICAOF", "127.0.0.1", primary.options["port"])


def wait_in_step(replica: Server) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with replica.plain as client:
            try:
                if client.info("replication").get("master_link_status") == "up":
                    return
            except redis.exceptions.BusyLoadingError:
                pass
        time.sleep(0.02)
    raise AssertionError(f"{replica.url} is not in step after {PATIENCE:g} s")


def change_over(primary: Server, replica: Server) -> None:
    """The replica becomes the primary, with the load and perhaps less of its data than the primary had."""
    with primary.plain as client:
        client.hset("qwf:mark", "x", 1)
        client.delete("qwf:mark")
        assert client.wait(1, int(1000 * PATIENCE)) == 1
    ask(replica, "REPLICAOF", "NO", "ONE")
    follow(primary, replica)


@pytest.mark.anyio
@ON_UVLOOP
@pytest.mark.usefixtures("small_plans")
async def test_a_server_that_becomes_a_replica_and_primary_again_is_given_the_rest(
    pair: tuple[Server, Server],
) -> None:
    one, other = pair
    swapped = threading.Event()

    def swap() -> None:
        change_over(one, other)
        swapped.set()

    def swap_back() -> None:
        assert swapped.wait(PATIENCE)
        wait_in_step(one)
        time.sleep(0.3)
        ask(one, "REPLICAOF", "NO", "ONE")

    async with qwf_async.connect(one.url) as store, anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, swap_back)
        await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=[when_stored(2000, swap)])
    check_points(one, PSI)
    check_alone(one)


@pytest.mark.anyio
@ON_UVLOOP
@pytest.mark.usefixtures("small_plans")
async def test_a_server_that_stays_a_replica_is_given_up_in_time(pair: tuple[Server, Server]) -> None:
    """The server stays a replica, so nothing but the deadline can end this."""
    one, other = pair

    def swap() -> None:
        change_over(one, other)

    settings = Settings(url=one.url, deadline=1.0, ownership_ttl=1.0)
    async with qwf_async.connect(settings=settings) as store:
        with pytest.raises(QwfError) as raised:
            await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=[when_stored(2000, swap)])
    assert raised.value.exit_code in (3, 6)
    assert "resume" in str(raised.value)
    assert published(one) is None
    # The primary has what the replica had: there the load goes on.
    await claim_over(other)
    async with qwf_async.connect(other.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True)
    check_points(other, PSI)
    check_alone(other)


@pytest.fixture(params=["valkey", "redis"])
def impatient_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that says BUSY once a script has run for 50 ms."""
    yield from new_server(request.param, **{"busy-reply-threshold": "50"})


@pytest.mark.anyio
@ON_UVLOOP
@pytest.mark.usefixtures("small_plans")
async def test_a_server_that_is_busy_with_a_script_is_waited_for(impatient_server: Server) -> None:
    waited_for, killed = threading.Event(), threading.Event()

    def loop() -> None:
        with impatient_server.plain as client, pytest.raises(redis.exceptions.ResponseError, match="killed"):
            client.eval("while true do end", 0)

    def end() -> None:
        assert waited_for.wait(PATIENCE)
        killed.set()
        ask(impatient_server, "SCRIPT", "KILL")

    threads = [threading.Thread(target=loop), threading.Thread(target=end)]

    def occupy() -> None:
        for thread in threads:
            thread.start()
        with suppress(redis.exceptions.ResponseError):  # BUSY
            while not waited_for.wait(0.01):
                ask(impatient_server, "PING")

    def hook(event: Event) -> None:
        if isinstance(event, Retried):
            waited_for.set()

    async with qwf_async.connect(impatient_server.url) as store:
        hooks = [when_stored(2000, occupy), hook]
        await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=hooks)
        assert killed.is_set()
    for thread in threads:
        thread.join()
    check_points(impatient_server, PSI)
    check_alone(impatient_server)
