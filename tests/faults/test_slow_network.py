"""The network between us and a real server: slow, silent, half open and refused connections.

Whatever happened, what is stored is read by plain redis-py, past the relay, and compared with
the source bit for bit. Random tests print their seed, and QWF_TEST_SEED repeats it.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import QwfError
from qwf_async.events import Event, Progress
from qwf_async.lattice.grid import Box
from tests.conftest import Server
from tests.support.loads import (
    Watched,
    check_alone,
    check_no_client_left,
    check_points,
    claim_over,
    ingested,
    wave,
    when_stored,
)
from tests.support.loops import ON_UVLOOP
from tests.support.relay import Relay

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]


PSI = wave(4, 10, 10, 10)


@ON_UVLOOP
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
    """The connections stay half-open, and the deadline is an hour, so no other time limit ends the wait."""
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


@ON_UVLOOP
async def test_a_server_that_swallows_all_is_given_up_in_time(server: Server, relay: Relay) -> None:
    """The relay swallows everything, so nothing but the deadline can end this."""
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
