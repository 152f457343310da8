"""Who owns the load of an ingest: its process while it renews, another after its deadline, this one again at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog.load import LoadTaken
from qwf_async.client.address import Address
from qwf_async.client.pool import Pool
from qwf_async.client.retry import Retry
from qwf_async.errors import Refused, ReplayOwed, ServerUnavailable
from qwf_async.events import Retried
from qwf_async.ingesting.delivery import Delivery
from qwf_async.ingesting.gate import Gate
from qwf_async.ingesting.sink import ServerSink
from qwf_async.ingesting.stream import BatchStream
from qwf_async.ingesting.transfer import write_all
from qwf_async.ingesting.verification import differing_chunks
from qwf_async.lattice.grid import Box
from qwf_async.settings import Settings
from qwf_async.wire.batch import Batch
from tests.conftest import PATIENCE, Server, new_server
from tests.support.loads import (
    Events,
    Watched,
    ask,
    check_alone,
    check_points,
    claim_is_over,
    in_a_thread,
    ingested,
    published,
    refusal,
    wave,
    when_stored,
)
from tests.support.waiting import until, wait_until

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


@pytest.mark.usefixtures("time_to_settle")
@pytest.mark.parametrize("rival", ["discards", "resumes", "is still loading"])
async def test_a_load_that_was_taken_over_meanwhile_is_not_published(server: Server, rival: str) -> None:
    other = sources.array(wave(3, 10, 10, 10, seed=1) if rival == "discards" else PSI)
    holding = threading.Event()
    halted = threading.Event()

    async def take_over() -> None:
        async with qwf_async.connect(server.url) as store:
            await qwf_async.ingest(
                Watched(source=other, before=halt if rival == "is still loading" else lambda _: None),
                store,
                "psi",
                resume=rival != "discards",
                discard=rival == "discards",
            )

    def halt(box: Box) -> None:
        holding.set()
        assert halted.wait(PATIENCE)

    def sleep_and_be_robbed() -> None:
        """This process does not answer until its claim is over and the rival has the load."""
        wait_until(lambda: claim_is_over(server))
        if rival == "is still loading":
            threads.append(threading.Thread(target=anyio.run, args=(take_over,)))
            threads[0].start()
            assert holding.wait(PATIENCE)
        else:
            in_a_thread(take_over)

    threads: list[threading.Thread] = []
    error = await refusal(
        sources.array(PSI),
        server,
        hooks=(when_stored(4000, sleep_and_be_robbed),),
        settings={"ownership_ttl": 1.0},
    )
    assert isinstance(error, LoadTaken)
    assert isinstance(error, Refused)
    assert error.exit_code == 8
    assert f"taken over by {'process' if threads else 'another process'}" in str(error)
    for thread in threads:
        assert published(server) is None
        halted.set()
        await anyio.to_thread.run_sync(thread.join)
    check_points(server, other.psi)
    check_alone(server)


async def test_a_writer_asks_for_its_permit_before_each_try() -> None:
    permits = [None, None, LoadTaken("taken over")]

    async def permit() -> None:
        if error := permits.pop(0):
            raise error

    def acknowledge(batch: Batch) -> None:
        raise AssertionError("nothing was written")

    events = Events()
    sink = ServerSink(lambda batch: Pool(Address.parse("unix:///nowhere")).writing(""), permit=permit)
    delivery = Delivery(sink=sink, gate=Gate(), retry=Retry(deadline=20.0), hook=events)
    stream = BatchStream(1)
    stream.put(Batch(chunk=0, points=1, parts=(), digest=0, weight=0.0, values=np.zeros(1, complex)))
    with pytest.raises(LoadTaken):
        await write_all(stream, delivery.write, acknowledge)
    assert permits == []
    assert len([event for event in events.all if isinstance(event, Retried)]) == 2


@pytest.mark.usefixtures("time_to_settle")
async def test_an_ingest_that_slept_past_its_claim_goes_on_if_nobody_took_it(server: Server) -> None:
    def sleep() -> None:
        wait_until(lambda: claim_is_over(server))

    await ingested(
        server, sources.array(PSI), settings={"ownership_ttl": 1.0}, hooks=(when_stored(12_000, sleep),)
    )
    check_points(server, PSI)


@pytest.mark.usefixtures("time_to_settle")
async def test_the_claim_is_kept_while_verifying(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def deadline() -> int:
        return int(ask(server, "HGET", "qwf:{psi}:load", "owner_deadline"))

    async def verify_slowly(*args: Any, **options: Any) -> list[int]:
        first = deadline()
        await until(lambda: deadline() != first)
        renewed.append(deadline() - first)
        return await differing_chunks(*args, **options)

    renewed: list[int] = []
    monkeypatch.setattr("qwf_async.ingesting.job.differing_chunks", verify_slowly)
    await ingested(server, sources.array(PSI), settings={"ownership_ttl": 1.0}, verify=True)
    assert renewed[0] > 0
    check_points(server, PSI)
