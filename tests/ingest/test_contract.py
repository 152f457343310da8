"""The sinks keep what every sink promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from anyio.to_thread import run_sync

from qwf_async.client.retry import Retry
from qwf_async.errors import OutOfMemory, QwfError, Refused, ServerUnavailable, SpoolFull
from qwf_async.ingesting.delivery import Delivery
from qwf_async.ingesting.gate import Gate
from qwf_async.ingesting.load_spool import LoadSpool
from qwf_async.ingesting.outage import Outage
from qwf_async.ingesting.sink import AwayForTooLong, ServerSink, Sink, writing_to
from qwf_async.spool import SpoolHead, spool_path
from qwf_async.wire.batch import Batch
from tests.conftest import PATIENCE, Server, open_pool
from tests.ingest.contract import BASE, Fault, Opened, SinkContract, batch_of, stored_in, stored_on
from tests.support.handmade import FLAT, KEYS, PLAN, manifest
from tests.support.loads import ask

GENERATION = BASE.decode().split("{")[1].rstrip(".")
ROOM = 3000
"""Bytes of a spool: more than the contract writes, but few enough to be full soon."""


def ignore(*_: object) -> None:
    """Take an event, and do nothing."""


async def nothing(batch: Batch) -> None:
    """Deliver a batch nowhere, to empty a spool."""


def killed(server: Server) -> Fault:
    return Fault(
        begin=partial(run_sync, server.kill),
        end=partial(run_sync, server.start),
        error=ServerUnavailable,
        try_again=True,
    )


def wrong_type(server: Server) -> Fault:
    """Something else has the keys of the data."""
    keys = [BASE + b"%d}:s" % number for number in range(len(PLAN))]
    free = partial(ask, server, "DEL", *keys)

    def take() -> None:
        free()
        ask(server, "MSET", *(part for key in keys for part in (key, "not a hash")))

    return Fault(begin=partial(run_sync, take), end=partial(run_sync, free), error=Refused, try_again=False)


def no_memory(server: Server) -> Fault:
    limit = partial(ask, server, "CONFIG", "SET", "maxmemory")
    return Fault(
        begin=partial(run_sync, limit, "1"),
        end=partial(run_sync, limit, "0"),
        error=OutOfMemory,
        try_again=True,
    )


def full(spool: LoadSpool, error: type[QwfError]) -> Fault:
    async def fill() -> None:
        while True:
            try:
                await spool.write(batch_of(3))
            except SpoolFull:
                return

    return Fault(begin=fill, end=partial(spool.replay, nothing, 1, ignore), error=error, try_again=False)


@asynccontextmanager
async def new_spool(directory: Path, limit: int = ROOM) -> AsyncIterator[LoadSpool]:
    head = SpoolHead(
        server="unix:///s", prefix=KEYS.prefix, name=KEYS.name, manifest=manifest(generation=GENERATION)
    )
    path = spool_path(directory / "spool", GENERATION)
    spool = LoadSpool(path=path, head=head, layout=FLAT.open(BASE), limit=limit)
    try:
        yield spool
    finally:
        await spool.aclose()


@asynccontextmanager
async def server_sink(server: Server) -> AsyncIterator[ServerSink]:
    async with open_pool(server) as pool:
        yield ServerSink(writing_to(pool))


def outage_of(server: Sink, spool: LoadSpool, *, after: float, deadline: float) -> Outage:
    async def reach_server() -> None:
        raise ServerUnavailable("it stays away")

    return Outage(
        server=server,
        spool=spool,
        reach_server=reach_server,
        connection_lost=ignore,
        deliver_to_server=nothing,
        writers=1,
        after=after,
        deadline=deadline,
        hook=ignore,
    )


class TestServerSink(SinkContract):
    @asynccontextmanager
    async def opened(self, server: Server, directory: Path) -> AsyncIterator[Opened]:
        async with server_sink(server) as sink:
            faults = {
                "killed": killed(server),
                "wrong type": wrong_type(server),
                "no memory": no_memory(server),
            }
            yield Opened(sink=sink, stored=partial(stored_on, server), faults=faults)


class TestDelivery(SinkContract):
    @asynccontextmanager
    async def opened(self, server: Server, directory: Path) -> AsyncIterator[Opened]:
        async with server_sink(server) as sink:
            delivery = Delivery(sink=sink, gate=Gate(), retry=Retry(deadline=0.2), hook=ignore)
            faults = {"killed": killed(server), "wrong type": wrong_type(server)}
            yield Opened(sink=delivery, stored=partial(stored_on, server), faults=faults)


class TestLoadSpool(SinkContract):
    @asynccontextmanager
    async def opened(self, server: Server, directory: Path) -> AsyncIterator[Opened]:
        async with new_spool(directory) as spool:
            yield Opened(
                sink=spool, stored=partial(stored_in, spool.path), faults={"full": full(spool, SpoolFull)}
            )


class TestOutageWithServer(SinkContract):
    """The server is there: batches go to it."""

    @asynccontextmanager
    async def opened(self, server: Server, directory: Path) -> AsyncIterator[Opened]:
        async with server_sink(server) as sink, new_spool(directory) as spool:
            outage = outage_of(sink, spool, after=PATIENCE, deadline=PATIENCE)
            faults = {"killed": killed(server), "wrong type": wrong_type(server)}
            yield Opened(sink=outage, stored=partial(stored_on, server), faults=faults)


class TestOutageWithoutServer(SinkContract):
    """The server is away: batches go into the spool."""

    @asynccontextmanager
    async def opened(self, server: Server, directory: Path) -> AsyncIterator[Opened]:
        await run_sync(server.kill)
        async with server_sink(server) as sink, new_spool(directory) as spool:
            outage = outage_of(sink, spool, after=0.0, deadline=0.2)
            faults = {"full": full(spool, AwayForTooLong)}
            yield Opened(sink=outage, stored=partial(stored_in, spool.path), faults=faults)
