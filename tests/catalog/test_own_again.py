"""A process that lives on takes up its own load at once, however it ended; what still runs keeps its name."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio
import anyio.to_thread
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog.owner import Owner
from qwf_async.client.pool import Pool
from qwf_async.errors import Refused, ReplayOwed, ServerUnavailable
from qwf_async.lattice.grid import Box
from qwf_async.settings import Settings
from tests.conftest import Server, new_server
from tests.support.loads import (
    Watched,
    ask,
    check_alone,
    check_points,
    in_a_thread,
    ingested,
    published,
    refusal,
    wave,
    when_stored,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

PSI = wave(12, 10, 10, 10)
HOUR = 3600.0
SOON: dict[str, Any] = {
    "deadline": 1.0,
    "spool_after": 0.2,
    "ownership_ttl": HOUR,
}
"""The claim outlasts every test: whoever gets the name has not waited for its end."""


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server of the test's own that has what it acknowledged after kill -9 too."""
    yield from new_server("valkey", appendonly="yes", appendfsync="always")


def claimed(server: Server) -> bool:
    """Whether the server believes that the load of `psi` is held, for minutes to come."""
    deadline = int(ask(server, "HGET", "qwf:{psi}:load", "owner_deadline"))
    return deadline > (int(ask(server, "TIME")[0]) + 60) * 1000


@pytest.mark.parametrize("spool", [True, False], ids=["all is in the spool", "no spool"])
@pytest.mark.parametrize("same_store", [True, False], ids=["the same store", "another store"])
async def test_after_an_outage_the_same_process_goes_on_at_once(
    durable: Server, spool: bool, same_store: bool
) -> None:
    settings = Settings(**SOON | ({} if spool else {"spool_limit": 0}))
    source = sources.array(PSI)
    async with qwf_async.connect(durable.url, settings=settings) as store:
        with pytest.raises(ReplayOwed if spool else ServerUnavailable):
            await qwf_async.ingest(source, store, "psi", hooks=(when_stored(4000, durable.kill),))
        durable.start()
        assert claimed(durable)
        if same_store:
            report = await qwf_async.ingest(source, store, "psi", resume=True)
    if not same_store:
        report = await ingested(durable, source, resume=True)
    assert report.resumed_chunks >= 3
    check_points(durable, PSI)
    check_alone(durable)


async def test_what_is_cancelled_during_an_outage_can_be_discarded_at_once(durable: Server) -> None:
    with anyio.CancelScope() as scope:

        def die() -> None:
            durable.kill()
            scope.cancel()

        await ingested(durable, sources.array(PSI), hooks=(when_stored(4000, die),), settings=SOON)
    assert scope.cancelled_caught
    durable.start()
    assert claimed(durable)
    other = wave(3, 10, 10, 10, seed=1)
    await ingested(durable, sources.array(other), discard=True)
    check_points(durable, other)
    check_alone(durable)


async def test_a_load_whose_server_died_as_it_began_does_not_hold_the_name(
    durable: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Pool.call

    async def call_and_die(self: Pool, *command: Any, doing: str = "", **options: Any) -> Any:
        reply = await begin(self, *command, doing=doing, **options)
        if doing.startswith("beginning"):
            await anyio.to_thread.run_sync(durable.kill)
        return reply

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "call", call_and_die)
        error = await refusal(sources.array(PSI), durable, settings=SOON)
    assert isinstance(error, ServerUnavailable)
    durable.start()
    assert claimed(durable)
    await ingested(durable, sources.array(PSI), resume=True)
    check_points(durable, PSI)


@pytest.mark.parametrize("rival", ["a task", "a thread"])
@pytest.mark.parametrize("option", ["resume", "discard"])
async def test_two_that_live_in_one_process_exclude_each_other(
    server: Server, rival: str, option: str
) -> None:
    holding, let_go = anyio.Event(), threading.Event()

    def hold(box: Box) -> None:
        if box.start[0] == 6:
            anyio.from_thread.run_sync(holding.set)
            assert let_go.wait(60)

    async def ask_for_it() -> None:
        with pytest.raises(Refused, match=f"psi is being loaded by process {os.getpid()} on "):
            await ingested(server, sources.array(PSI), resume=option == "resume", discard=option == "discard")
        with pytest.raises(Refused, match="is being loaded"):
            async with qwf_async.connect(server.url) as store:
                await store.remove("psi")

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: ingested(server, Watched(source=sources.array(PSI), before=hold)))
            await holding.wait()
            # Another load of this process that comes to its end frees no name but its own.
            async with qwf_async.connect(server.url) as store:
                await qwf_async.ingest(sources.array(PSI), store, "other")
            if rival == "a task":
                await ask_for_it()
            else:
                await anyio.to_thread.run_sync(in_a_thread, ask_for_it)
            assert published(server) is None
            let_go.set()
    finally:
        let_go.set()
    check_points(server, PSI)


def test_an_owner_holds_until_it_ends() -> None:
    one, other = (replace(Owner.here(), deadline=1000) for _ in range(2))
    one.end()
    assert (one.holds(0), other.holds(0)) == (False, True)
    assert replace(one, host="elsewhere").holds(0)
    assert replace(one, boot="").holds(0)
    other.end()
    assert not other.holds(0)
