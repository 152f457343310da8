"""The network between us and a real server: torn, slow, sliced, silent, refused, killed, cancelled.

Faults are made by a relay, by the server and by cancellation. Whatever happened, what is
stored is read by plain redis-py, past the relay, and compared with the source bit for bit.
Random tests print their seed, and QWF_TEST_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import QwfError
from qwf_async.events import Event, Progress
from qwf_async.lattice.grid import Box
from qwf_async.layout import LAYOUTS
from qwf_async.store.wavefunction import Wavefunction
from tests.conftest import PATIENCE, Server
from tests.support.ingests import CHUNKS, Place, new_place
from tests.support.loads import (
    Watched,
    ask,
    check_alone,
    check_points,
    claim_over,
    contents,
    ingested,
    wave,
    when_stored,
)
from tests.support.relay import Relay, relaying

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

ONE_LOOP = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["asyncio+uvloop"]
)
"""For tests that take their time; the others show that the loops are alike."""

PLACES = 10
CANCELLATIONS = 1000
KILLS = 20
PSI = wave(4, 10, 10, 10)


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("QWF_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"QWF_TEST_SEED={seed}")  # noqa: T201 # pytest shows it when the test fails
    return random.Random(seed)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from new_place(tmp_path_factory)


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with relaying(server) as relay:
        yield relay


def clients(server: Server) -> int:
    """Connections that the server counts, without the one that asks."""
    with server.plain as client:
        return int(client.info("clients")["connected_clients"]) - 1


async def check_no_client_left(server: Server, *, but: int = 0) -> None:
    with anyio.fail_after(PATIENCE):
        while clients(server) > but:  # noqa: ASYNC110 # the server sees a closed connection a moment later
            await anyio.sleep(0.01)


def test_the_relay_does_what_it_is_told(server: Server, relay: Relay, chance: random.Random) -> None:
    ping, pong = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"

    def open_one(*, over_tcp: bool = True) -> socket.socket:
        if over_tcp:
            return socket.create_connection(
                ("127.0.0.1", int(relay.tcp_url.rpartition(":")[2])), timeout=PATIENCE
            )
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        try:
            client.connect(relay.url.removeprefix("unix://"))
        except OSError:
            client.close()
            raise
        return client

    def received(client: socket.socket) -> bytes:
        """All until the end of the connection."""
        data = b""
        with suppress(ConnectionError):
            while some := client.recv(100):
                data += some
        return data

    for over_tcp in (True, False):
        for length in range(len(pong)):
            with open_one(over_tcp=over_tcp) as client:
                relay.cut_replies([len(pong) + length])
                client.sendall(ping * 2)
                assert received(client) == pong + pong[:length]
        with open_one(over_tcp=over_tcp) as client:
            relay.cut_requests([len(ping) + 3])
            passed = relay.requests.passed
            client.sendall(ping * 2)
            assert received(client) in (b"", pong)
            assert relay.requests.passed == passed + len(ping) + 3
    with open_one() as idle, open_one() as busy:
        for client in (idle, busy):
            client.sendall(ping)
            assert client.recv(100) == pong
        relay.discard()
        busy.sendall(ping)
        relay.normal()
        for client in (idle, busy):
            client.settimeout(0.05)
            client.sendall(ping)
            with pytest.raises(TimeoutError):
                client.recv(100)
    with open_one() as client:
        relay.slice(1)
        writes = relay.replies.writes
        client.sendall(ping * 100)
        assert b"".join(client.recv(1) for _ in range(100 * len(pong))) == pong * 100
        assert relay.replies.writes >= writes + 100 * len(pong) - 1  # the last is counted when it has gone
        relay.normal()
        relay.delay(0.1, jitter=0.05, chance=chance)
        begun = time.monotonic()
        client.sendall(ping)
        assert client.recv(100) == pong
        assert time.monotonic() - begun >= 0.1
        relay.refuse()
        with pytest.raises(ConnectionRefusedError):
            open_one()
        with pytest.raises(ConnectionRefusedError):
            open_one(over_tcp=False)
        relay.cut()
        assert received(client) == b""
    relay.normal()
    with open_one() as client:
        client.sendall(ping)
        assert client.recv(100) == pong


def test_a_command_whose_connections_are_cut_all_the_time_stores_all(
    place: Place, chance: random.Random
) -> None:
    with relaying(place.server) as relay:
        here = replace(place, shell=place.shell.having(QWF_URL=relay.tcp_url))
        with here.begin_held("cut", 1) as begun:
            here.wait_for_load("cut", 1)
            # What is still to be sent has 6.5 million bytes.
            soon = (chance.randrange(1_000_000) for _ in range(3))
            relay.cut_requests(
                itertools.chain(soon, (chance.randrange(3_000_000) for _ in itertools.count()))
            )
            relay.cut_replies(chance.randrange(30_000) for _ in itertools.count())
            here.let("cut", CHUNKS)
            outcome = begun.end()
        assert outcome.status == 0, outcome.err
        assert relay.cuts > 2
    place.check_whole("cut")


@ONE_LOOP
async def test_an_ingest_that_any_one_reply_is_lost_of_is_whole(server: Server, relay: Relay) -> None:
    """What the reply was to has been applied then, and is sent again; each reply of an ingest is lost in turn."""
    psi = PSI[:2]
    async with qwf_async.connect(relay.url, settings=Settings(sample_interval=60)) as store:
        before = relay.replies.pieces
        await qwf_async.ingest(sources.array(psi), store, "psi")
        pieces = relay.replies.pieces - before
        for number in range(pieces):
            psi = wave(*psi.shape, seed=number)
            relay.lose_replies([number])
            await qwf_async.ingest(sources.array(psi), store, "psi", overwrite=True)
            check_points(server, psi)
            check_alone(server)
    assert relay.cuts > pieces - 5 > 10  # the last replies of a run that was a little shorter cannot be lost
    await check_no_client_left(server)


async def test_an_ingest_cut_at_any_byte_of_a_reply_is_whole(
    server: Server, relay: Relay, chance: random.Random
) -> None:
    await ingest_cut_at_any_byte(server, relay, chance, relay.url, "replies")


async def test_an_ingest_cut_at_any_byte_of_a_request_is_whole(
    server: Server, relay: Relay, chance: random.Random
) -> None:
    await ingest_cut_at_any_byte(server, relay, chance, relay.tcp_url, "requests")


async def ingest_cut_at_any_byte(
    server: Server, relay: Relay, chance: random.Random, url: str, direction: str
) -> None:
    flow = {"replies": relay.replies, "requests": relay.requests}[direction]
    arm = {"replies": relay.cut_replies, "requests": relay.cut_requests}[direction]
    tasks = asyncio.all_tasks()
    # The watchdog looks once: on a slow machine it would look oftener, and one run be longer than another.
    async with qwf_async.connect(url, settings=Settings(sample_interval=60)) as store:
        passed = flow.passed
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        length = flow.passed - passed
        for number in range(PLACES):
            psi = wave(*PSI.shape, seed=number)
            arm([chance.randrange(length)])
            await qwf_async.ingest(sources.array(psi), store, "psi", overwrite=True)
            check_points(server, psi)
            check_alone(server)
    assert relay.cuts > PLACES // 3  # a place past the end of a run that was a little shorter cuts nothing
    assert asyncio.all_tasks() == tasks
    await check_no_client_left(server)


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_no_reply_is_taken_for_anothers_when_replies_are_torn(
    server: Server, relay: Relay, chance: random.Random, layout: str
) -> None:
    await ingested(server, sources.array(PSI), layout=layout)
    gaps = (chance.choice([0, 1, chance.randrange(99), chance.randrange(600_000)]) for _ in itertools.count())
    async with qwf_async.connect(relay.url) as store:
        psi = await store.open("psi")
        relay.cut_replies(gaps)

        async def read() -> None:
            while relay.cuts < 20:
                t, x, y, z = (chance.randrange(size) for size in PSI.shape)
                assert await psi.point(x, y, z, t) == PSI[t, x, y, z]
                points = [[chance.randrange(size) for size in (10, 10, 10, 4)] for _ in range(5)]
                values = [PSI[t, x, y, z] for x, y, z, t in points]
                assert (await psi.read_points(points) == values).all()
                assert np.array_equal(await psi.read[t, :x, y:], PSI[t, :x, y:])

        async with anyio.create_task_group() as readers:
            for _ in range(4):
                readers.start_soon(read)


async def test_a_connection_lost_in_its_first_reply_is_opened_again(server: Server, relay: Relay) -> None:
    for url in (relay.url, relay.tcp_url):
        for length in range(4):
            relay.cut_replies([length])
            async with qwf_async.connect(url) as store:
                assert await store.entries() == []
    assert relay.cuts == 8


async def test_bytes_that_come_one_at_a_time_are_the_same_bytes(server: Server, relay: Relay) -> None:
    psi = wave(1, 6, 6, 8)
    async with qwf_async.connect(relay.tcp_url, settings=Settings(socket_timeout=PATIENCE)) as store:
        for layout in LAYOUTS:
            one_by_one = when_stored(0, lambda: relay.slice(1))
            await qwf_async.ingest(sources.array(psi), store, layout, layout=layout, hooks=(one_by_one,))
            assert np.array_equal(await (await store.open(layout)).read[:], psi)
            relay.normal()
    check_points(server, psi, "flat")
    async with qwf_async.connect(server.url) as store:
        for layout in ("packed", "tile"):  # the same as by the straight road
            await qwf_async.ingest(sources.array(psi), store, f"straight-{layout}", layout=layout)
            assert data_of(server, layout) == data_of(server, f"straight-{layout}")


def data_of(server: Server, name: str) -> dict[bytes, Any]:
    """The data keys of a name, less the name and the generation, with what they hold."""
    start = f"qwf:{name}:".encode()
    return {key.split(b":")[-1]: held for key, held in contents(server).items() if key.startswith(start)}


@ONE_LOOP
async def test_latency_is_hidden_by_several_writers_and_little_data_is_held_meanwhile(
    server: Server, relay: Relay, chance: random.Random
) -> None:
    psi = wave(10, 10, 10, 10)
    taken = most = stored = 0

    def take(box: Box) -> None:
        nonlocal taken
        taken += 1

    def watch(event: Event) -> None:
        nonlocal most, stored
        if isinstance(event, Progress):
            most = max(most, taken - stored)
            stored = event.points // 1000

    slow = when_stored(0, lambda: relay.delay(0.4, jitter=0.1, chance=chance))
    fast = when_stored(psi.size, relay.normal)
    async with qwf_async.connect(relay.url, settings=Settings(writers=5, stream_bytes=65_536)) as store:
        await qwf_async.ingest(
            Watched(source=sources.array(psi), before=take), store, "psi", hooks=(watch, slow, fast)
        )
    # Held are those with the writers, two that wait (of 40 kB each), and two that are being made.
    # With each writer waiting for the one before there would be one with the writers.
    assert 5 < most <= 5 + 2 + 2
    check_points(server, psi)
    check_alone(server)


async def test_half_open_connections_are_noticed_within_the_socket_timeout(
    server: Server, relay: Relay
) -> None:
    """No other time limit could end the wait for them: they stay half-open, and the deadline is an hour."""
    assert max(Settings().socket_timeout, Settings().socket_connect_timeout) <= 5
    settings = Settings(socket_timeout=0.5, socket_connect_timeout=0.5, deadline=3600)

    def lose() -> None:
        relay.discard()
        relay.normal(after=0.02)  # for new connections

    async with qwf_async.connect(relay.tcp_url, settings=settings) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=(when_stored(2000, lose),))
        psi = await store.open("psi")
        lose()
        assert await psi.point(1, 2, 3, 0) == PSI[0, 1, 2, 3]  # over a connection that lay idle
    check_points(server, PSI)
    check_alone(server)
    await check_no_client_left(server)


@ONE_LOOP
async def test_a_server_that_swallows_all_is_given_up_in_time(server: Server, relay: Relay) -> None:
    """It swallows all until then: nothing but the deadline ends this."""
    settings = Settings(socket_timeout=0.3, socket_connect_timeout=0.3, deadline=1.0, ownership_ttl=1.0)
    async with qwf_async.connect(relay.tcp_url, settings=settings) as store:
        with pytest.raises(QwfError) as raised:
            await qwf_async.ingest(
                sources.array(PSI), store, "psi", hooks=(when_stored(2000, relay.discard),)
            )
    assert raised.value.exit_code in (3, 6)
    assert "resume" in str(raised.value)
    relay.normal()
    await claim_over(server)
    await ingested(server, sources.array(PSI), resume=True)
    check_points(server, PSI)


async def test_a_server_that_refuses_connections_for_a_while_is_waited_for(
    server: Server, relay: Relay
) -> None:
    def vanish() -> None:
        relay.refuse()
        relay.cut()
        relay.normal(after=0.4)

    async with qwf_async.connect(relay.tcp_url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=(when_stored(2000, vanish),))
        psi = await store.open("psi")
        vanish()
        assert np.array_equal(await psi.read[:], PSI)
    check_points(server, PSI)
    check_alone(server)


async def test_connections_killed_all_the_time_are_no_error_to_readers_and_changers(
    each_server: Server, chance: random.Random
) -> None:
    await ingested(each_server, sources.array(PSI))
    kills = 0

    async def kill() -> None:
        nonlocal kills
        with each_server.plain as client:
            while kills < KILLS:
                own = client.client_id()
                others = [one["id"] for one in client.client_list() if int(one["id"]) != own]
                if others:
                    kills += client.client_kill_filter(_id=chance.choice(others))
                await anyio.sleep(0.02)

    async def use(psi: Wavefunction, t: int) -> None:
        x, y, z = (chance.randrange(10) for _ in range(3))
        changed = complex(chance.random(), chance.random())
        match chance.randrange(5):
            case 0:
                assert await psi.point(x, y, z, t) == PSI[t, x, y, z]
            case 1:
                assert np.array_equal(await psi.read[t, :, y], PSI[t, :, y])
            case 2:
                assert await psi.read_points([[x, y, z, t]]) == [PSI[t, x, y, z]]
            case 3:
                async with qwf_async.connect(each_server.url) as fresh:
                    assert await (await fresh.open("psi")).point(x, y, z, t) == PSI[t, x, y, z]
            case _:
                await psi.update(x, y, z, t, value=changed)
                assert await psi.point(x, y, z, t) == changed
                await psi.update(x, y, z, t, value=complex(PSI[t, x, y, z]))

    async def work(psi: Wavefunction, t: int) -> None:
        while kills < KILLS:
            await use(psi, t)

    async with qwf_async.connect(each_server.url) as store:
        psi = await store.open("psi")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            for t in range(len(PSI)):  # each has a frame of its own
                tasks.start_soon(work, psi, t)
    check_points(each_server, PSI)
    await check_no_client_left(each_server)


async def test_a_thousand_random_cancellations_give_no_wrong_reply_and_leak_nothing(
    server: Server, chance: random.Random
) -> None:
    """The real part of a value is the number of its point, the imaginary part that of the change."""
    shape = (2, 8, 6, 6)
    numbers = np.arange(np.prod(shape), dtype=float).reshape(shape)
    await ingested(server, sources.array(numbers + 0j))
    tried, done = np.zeros(shape), np.zeros(shape)
    cancelled = completed = 0

    def check(index: Any, values: Any, least: Any) -> None:
        assert np.array_equal(np.real(values), numbers[index])
        assert (np.imag(values) >= least).all()
        assert (np.imag(values) <= tried[index]).all()

    async def one_point(psi: Wavefunction, x: int) -> None:
        index = (chance.randrange(2), x, chance.randrange(6), chance.randrange(6))
        least = done[index]
        check(index, await psi.point(*index[1:], index[0]), least)

    async def many_points(psi: Wavefunction, x: int) -> None:
        rows = np.array([[chance.randrange(size) for size in shape] for _ in range(50)])
        index = tuple(rows.T)
        least = done[index]
        check(index, await psi.read_points(rows[:, [1, 2, 3, 0]]), least)

    async def plane(psi: Wavefunction, x: int) -> None:
        index = (slice(None), x)
        least = done[index].copy()
        check(index, await psi.read[index], least)

    async def change(psi: Wavefunction, x: int) -> None:
        index = (chance.randrange(2), x, chance.randrange(6), chance.randrange(6))
        tried[index] += 1
        mine = tried[index]
        await psi.update(*index[1:], index[0], value=complex(numbers[index], mine))
        done[index] = mine

    async def change_region(psi: Wavefunction, x: int) -> None:
        index = (slice(None), x, slice(2, 5))
        tried[index] += 1
        mine = tried[index].copy()
        await psi.update_region(index, numbers[index] + 1j * mine)
        done[index] = mine

    async def work(psi: Wavefunction, x: int) -> None:
        nonlocal cancelled, completed
        while cancelled < CANCELLATIONS or completed < CANCELLATIONS // 4:
            job = chance.choice([one_point, many_points, plane, change, change_region])
            with anyio.CancelScope() as scope:
                if chance.random() < 0.5:
                    scope.deadline = anyio.current_time() + chance.expovariate(1 / 0.002)
                    await job(psi, x)
                else:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(job, psi, x)
                        for _ in range(chance.randrange(80)):
                            await anyio.lowlevel.checkpoint()
                        if chance.random() < 0.8:
                            scope.cancel()
            cancelled += scope.cancelled_caught
            completed += not scope.cancelled_caught

    before = asyncio.all_tasks()
    async with qwf_async.connect(server.url, settings=Settings(max_connections=5)) as store:
        psi = await store.open("psi")
        async with anyio.create_task_group() as tasks:
            for x in range(8):  # each changes a plane of its own
                tasks.start_soon(work, psi, x)
        await check_no_client_left(server, but=5)
        assert asyncio.all_tasks() == before
        await psi.update_region((), numbers + 1j * tried)
        assert np.array_equal(await psi.read[:], numbers + 1j * tried)
    check_points(server, numbers + 1j * tried)
    await check_no_client_left(server)
    print(f"{cancelled} cancellations, {completed} calls that ended, wrong replies 0")  # noqa: T201 # the figures


@ONE_LOOP
async def test_a_clock_that_jumps_moves_no_deadline(
    server: Server, relay: Relay, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + chance.uniform(-1e6, 1e6))
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))
    away: list[float] = []

    def vanish() -> None:
        relay.refuse()
        relay.cut()
        away.append(time.monotonic())

    def vanish_for_a_while() -> None:
        vanish()
        relay.normal(after=0.4)

    async with qwf_async.connect(relay.url) as store:
        hooks = (when_stored(2000, vanish_for_a_while),)
        await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=hooks)
    check_points(server, PSI)
    settings = Settings(deadline=1.5, ownership_ttl=1.0)
    async with qwf_async.connect(relay.url, settings=settings) as store:
        with pytest.raises(QwfError) as raised:  # it is away until then: nothing but the deadline ends this
            await qwf_async.ingest(sources.array(PSI), store, "other", hooks=(when_stored(2000, vanish),))
    assert raised.value.exit_code in (3, 6)
    assert time.monotonic() - away[1] > 0.5
    assert not ask(server, "EXISTS", "qwf:{other}:meta")
