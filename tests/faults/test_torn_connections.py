"""The network between us and a real server: connections that are cut at any byte, and replies that are torn.

Whatever happened, what is stored is read by plain redis-py, past the relay, and compared with
the source bit for bit. Random tests print their seed, and QWF_TEST_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

import qwf_async
from qwf_async import Settings, sources
from qwf_async.layout import LAYOUTS
from tests.conftest import PATIENCE, Server
from tests.support.ingest_rig import CHUNKS, Rig
from tests.support.loads import (
    check_alone,
    check_no_client_left,
    check_points,
    contents,
    ingested,
    wave,
    when_stored,
)
from tests.support.loops import ON_UVLOOP
from tests.support.relay import Relay, relaying

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]


PLACES = 10


PSI = wave(4, 10, 10, 10)


def test_a_command_whose_connections_are_cut_all_the_time_stores_all(rig: Rig, chance: random.Random) -> None:
    with relaying(rig.server) as relay:
        here = replace(rig, shell=rig.shell.having(QWF_URL=relay.tcp_url))
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
    rig.check_whole("cut")


@ON_UVLOOP
async def test_an_ingest_that_any_one_reply_is_lost_of_is_whole(server: Server, relay: Relay) -> None:
    """Each reply of an ingest is lost in turn. Its request has been applied by then, and is sent again."""
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
