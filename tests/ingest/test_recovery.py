"""Servers that die, come back empty or older, hang, or cut connections; loads that are taken over or cancelled."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog.load import Load, LoadTaken
from qwf_async.client.pool import Pool
from qwf_async.errors import DataLost, InvalidInput, OutOfMemory, QwfError, Refused, ReplayOwed
from qwf_async.events import Event, Spooled
from qwf_async.lattice.grid import Box
from tests.conftest import PATIENCE, Server, new_server
from tests.support.loads import (
    Events,
    Watched,
    ask,
    check_alone,
    check_points,
    claim_over,
    contents,
    group_keys,
    held,
    in_a_thread,
    ingested,
    refusal,
    wave,
    when_stored,
)
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

CANCELLATIONS = 50
PSI = wave(12, 10, 10, 10)


@pytest.fixture(params=["always", "everysec"])
def aof_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A Valkey server that logs every write to disk, and syncs it at once or every second."""
    yield from new_server("valkey", appendonly="yes", appendfsync=request.param)


async def load(server: Server, *, settings: dict[str, Any] | None = None, **options: Any) -> qwf_async.Report:
    """Ingest PSI as `psi`."""
    return await ingested(server, sources.array(PSI), settings=settings, **options)


def restart(server: Server) -> None:
    server.kill()
    server.start()


async def test_a_flushed_server_is_noticed_and_nothing_is_published(each_server: Server) -> None:
    flush = when_stored(4000, lambda: ask(each_server, "FLUSHALL"))
    error = await refusal(sources.array(PSI), each_server, hooks=(flush,))
    assert isinstance(error, DataLost)
    assert error.exit_code == 3
    assert "flushed or came back empty" in str(error)
    assert contents(each_server) == {}
    await load(each_server)  # the name is free
    check_points(each_server, PSI)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtTheEnd(Watched):
    """A source that calls a function when all was read, just before the data is verified."""

    end: Callable[[], None]

    def check_unchanged(self) -> None:
        self.end()


def ending(end: Callable[[], None]) -> AtTheEnd:
    return AtTheEnd(source=sources.array(PSI), before=lambda box: None, end=end)


async def test_a_flush_just_before_the_verification_is_a_loss_and_no_damage(each_server: Server) -> None:
    flushing = ending(lambda: ask(each_server, "FLUSHALL"))
    error = await refusal(flushing, each_server, verify=True)
    assert isinstance(error, DataLost)
    assert "flushed or came back empty" in str(error)
    assert contents(each_server) == {}


@pytest.mark.parametrize("cause", [InvalidInput, Refused, OutOfMemory])
async def test_a_load_that_is_gone_leaves_no_keys_whatever_the_ingest_ends_with(
    each_server: Server, cause: type[QwfError]
) -> None:
    def lose() -> None:
        assert ask(each_server, "DEL", "qwf:{psi}:load") == 1
        raise cause("something else is the matter")

    error = await refusal(ending(lose), each_server)
    assert type(error) is cause
    assert "something else is the matter" in str(error)
    assert "resume" not in str(error)
    assert contents(each_server) == {}


async def test_a_flush_is_noticed_while_the_source_is_slow(server: Server) -> None:
    go_on = threading.Event()

    def stall(box: Box) -> None:
        if box.start[0] == 6:
            ask(server, "FLUSHALL")
            assert go_on.wait(PATIENCE)

    source = Watched(source=sources.array(PSI), before=stall)
    try:
        error = await refusal(source, server, settings={"ownership_ttl": 1.0})
    finally:
        go_on.set()
    assert isinstance(error, DataLost)
    assert contents(server) == {}


async def test_a_flush_does_not_touch_who_begins_the_name_afterwards(server: Server) -> None:
    other = wave(2, 10, 10, 10, seed=1)

    def flush() -> None:
        ask(server, "FLUSHALL")
        in_a_thread(lambda: ingested(server, sources.array(other)))

    error = await refusal(sources.array(PSI), server, hooks=(when_stored(4000, flush),))
    assert isinstance(error, LoadTaken)
    check_points(server, other)
    check_alone(server)


@pytest.mark.parametrize("after", [5000, 12_000])
async def test_chunks_of_a_lost_journal_are_sent_again(each_server: Server, after: int) -> None:
    def lose() -> None:
        journals = group_keys(each_server, "j", of="load")
        assert ask(each_server, "DEL", *journals) == len(journals) >= after // 1000

    events = Events()
    report = await load(each_server, hooks=(when_stored(after, lose), events), verify=True)
    assert report.bytes_sent > 1.2 * events.progress[1].bytes_sent * 12
    check_points(each_server, PSI)
    check_alone(each_server)


async def test_a_server_that_comes_back_empty_is_not_given_the_rest(own_server: Server) -> None:
    die = when_stored(4000, lambda: restart(own_server))
    error = await refusal(sources.array(PSI), own_server, hooks=(die,))
    assert isinstance(error, DataLost)
    assert contents(own_server) == {}


async def test_a_server_that_comes_back_older_is_given_what_it_lacks(each_own_server: Server) -> None:
    save = when_stored(3000, lambda: ask(each_own_server, "SAVE"))
    die = when_stored(9000, lambda: restart(each_own_server))
    events = Events()
    report = await load(each_own_server, hooks=(save, die, events))
    # Of nine chunks three at least are lost: three more may have been there before they were acknowledged.
    assert report.bytes_sent > 1.2 * events.progress[1].bytes_sent * 12
    check_points(each_own_server, PSI)
    check_alone(each_own_server)


async def test_a_chunk_is_not_journalled_on_a_server_that_lost_it(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, recorded = Load.record, []

    async def die_first(self: Load, entries: Any, connection: Any, *, elsewhere: bool) -> None:
        recorded.extend(entries)
        if recorded == [0, 1]:
            ask(own_server, "SAVE")
        if recorded == [0, 1, 2]:  # applied and acknowledged, not written down yet
            await anyio.to_thread.run_sync(restart, own_server)
        await record(self, entries, connection, elsewhere=elsewhere)

    monkeypatch.setattr(Load, "record", die_first)
    await load(own_server, writers=1)
    assert recorded.count(2) == 2
    check_points(own_server, PSI)


def await_logged(server: Server) -> None:
    """Wait until what was written so far has left the server's own buffer."""
    with server.plain as client:
        wait_until(lambda: client.info("persistence")["aof_buffer_length"] == 0)


async def test_a_server_killed_again_and_again_is_given_all_in_the_end(aof_server: Server) -> None:
    # Not before the load itself is in the file: while one sync is under way, the next write to it waits.
    logged = when_stored(1000, lambda: await_logged(aof_server))
    deaths = [when_stored(points, lambda: restart(aof_server)) for points in (2000, 6000, 11_000, 12_000)]
    await load(aof_server, hooks=(logged, *deaths), verify=True)
    check_points(aof_server, PSI)
    check_alone(aof_server)
    restart(aof_server)
    check_points(aof_server, PSI)  # the report says "aof": so it is all there


async def test_a_server_that_hangs_is_waited_for(own_server: Server) -> None:
    def wake(event: Event) -> None:
        if isinstance(event, Spooled) and event.chunks:
            own_server.go_on()

    events = Events()
    report = await load(
        own_server,
        settings={"socket_timeout": 0.5},
        hooks=(when_stored(4000, own_server.stop), wake, events),
    )
    assert report.spooled_chunks > 0
    assert any("no answer in time" in warning and "into the spool" in warning for warning in events.warnings)
    check_points(own_server, PSI)


async def test_a_server_away_for_too_long_ends_the_ingest_which_can_be_resumed(own_server: Server) -> None:
    died: list[float] = []

    def die() -> None:
        ask(own_server, "SAVE")
        own_server.kill()
        died.append(time.monotonic())

    # The claim is short because it cannot be given up: it comes back with the server.
    settings = {"deadline": 1.0, "ownership_ttl": 1.0}
    error = await refusal(sources.array(PSI), own_server, hooks=(when_stored(4000, die),), settings=settings)
    took = time.monotonic() - died[0]
    assert isinstance(error, ReplayOwed)
    assert error.exit_code == 6
    assert took < qwf_async.Settings().deadline / 2
    own_server.start()
    await claim_over(own_server)
    report = await load(own_server, resume=True)
    assert report.resumed_chunks >= 3
    check_points(own_server, PSI)
    check_alone(own_server)


async def test_killed_connections_are_no_error(each_server: Server) -> None:
    kills = 0
    under_way, enough = anyio.Event(), threading.Event()

    async def kill() -> None:
        nonlocal kills
        await under_way.wait()
        with each_server.plain as client:
            while True:
                kills += client.client_kill_filter(_type="normal", skipme=True)
                if kills >= 5:
                    enough.set()
                await anyio.sleep(0.1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill)
        report = await ingested(
            each_server,
            held(sources.array(PSI), 11, enough),
            max_rate=20_000.0,
            verify=True,
            hooks=(when_stored(0, under_way.set),),
        )
        tasks.cancel_scope.cancel()
    assert report.points == PSI.size
    check_points(each_server, PSI)
    check_alone(each_server)


async def test_an_ingest_cancelled_as_it_begins_does_not_hold_the_name(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Pool.call

    async def call_and_cancel(self: Pool, *command: Any, doing: str = "", **options: Any) -> Any:
        reply = await call(self, *command, doing=doing, **options)
        if doing.startswith("beginning"):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        return reply

    with monkeypatch.context() as patch, anyio.CancelScope() as scope:
        patch.setattr(Pool, "call", call_and_cancel)
        await load(server)
    assert scope.cancelled_caught
    await load(server, resume=True)
    check_points(server, PSI)


async def test_random_cancellation_loses_nothing_and_leaks_nothing(server: Server) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown by pytest if the test fails
    chance = random.Random(seed)
    tasks = asyncio.all_tasks()
    cancelled = number = 0
    async with qwf_async.connect(server.url) as store:
        begun = anyio.current_time()
        await qwf_async.ingest(sources.array(PSI), store, "first")
        longest = anyio.current_time() - begun
        while cancelled < CANCELLATIONS:
            number += 1
            psi = wave(12, 10, 10, 10, seed=number)
            source, name = sources.array(psi), f"psi{number}"
            while True:
                report = None
                with anyio.move_on_after(chance.uniform(0, longest)):
                    report = await qwf_async.ingest(
                        source, store, name, resume=True, verify=chance.random() < 0.2
                    )
                # The machine may be slower or quicker than it was: of three attempts about two are cancelled.
                if report is not None:
                    longest *= 0.8
                    break
                longest *= 1.1
                cancelled += 1
            check_points(server, psi, name)
    assert asyncio.all_tasks() == tasks
    names = ["first", *(f"psi{n}" for n in range(1, number + 1))]
    # Meta of each, the journal and data of each of its chunks, and the index.
    assert len(contents(server)) == (1 + 2 * len(psi)) * len(names) + 1
