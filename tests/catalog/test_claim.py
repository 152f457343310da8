"""The claim of a process on the name it loads: kept, lost while it sleeps, and asked for before each write."""

from __future__ import annotations

import threading
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
from qwf_async.errors import Refused
from qwf_async.events import Retried
from qwf_async.ingesting.delivery import Delivery
from qwf_async.ingesting.gate import Gate
from qwf_async.ingesting.sink import ServerSink
from qwf_async.ingesting.stream import BatchStream
from qwf_async.ingesting.transfer import write_all
from qwf_async.ingesting.verify import differing_chunks
from qwf_async.lattice.grid import Box
from qwf_async.wire.batch import Batch
from tests.conftest import PATIENCE, Server
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

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

PSI = wave(12, 10, 10, 10)


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
    sink = ServerSink(Pool(Address.parse("unix:///nowhere")).writing, permit=permit)
    delivery = Delivery(sink=sink, gate=Gate(), retry=Retry(deadline=20.0), hook=events)
    stream = BatchStream(1)
    stream.put(Batch(chunk=0, points=1, parts=(), digest=0, weight=0.0, values=np.zeros(1, complex)))
    with pytest.raises(LoadTaken):
        await write_all(stream, delivery.write, acknowledge)
    assert permits == []
    assert len([event for event in events.all if isinstance(event, Retried)]) == 2


async def test_an_ingest_that_slept_past_its_claim_goes_on_if_nobody_took_it(server: Server) -> None:
    def sleep() -> None:
        wait_until(lambda: claim_is_over(server))

    await ingested(
        server, sources.array(PSI), settings={"ownership_ttl": 1.0}, hooks=(when_stored(12_000, sleep),)
    )
    check_points(server, PSI)


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
