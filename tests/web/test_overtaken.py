"""A request whose client has gone stops what it reads: on the page's server, and on the server of the data."""

from __future__ import annotations

import gc
import random
import tracemalloc
from urllib.parse import urlencode

import anyio
import anyio.abc
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from tests.conftest import Server
from tests.support.api import Api, api_of
from tests.support.loads import clients, wave
from tests.support.relay import relaying
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

PSI = wave(1, 96, 96, 64)
CHUNKS = PSI.size // 16_384
"""Hashes of it in layout flat, each read by a command."""


async def send(api: Api, path: str, **query: object) -> anyio.abc.SocketStream:
    """Ask, and return the connection over which the answer will come."""
    stream = await anyio.connect_tcp(api.at.host, api.at.port)
    request = f"GET /api/{path}?{urlencode(query)} HTTP/1.1\r\nHost: {api.at.host}:{api.at.port}\r\n"
    await stream.send(f"{request}Authorization: Bearer {api.at.token}\r\n\r\n".encode())
    return stream


def reads(server: Server) -> int:
    """Commands that read points of layout flat, as the server counts them."""
    with server.plain as client:
        stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("hmget", "dump"))


async def test_overtaken_read_stops_and_gives_back_what_it_has(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
    with relaying(server) as relay:
        async with api_of(relay) as api:
            answer = await api.get("wavefunctions/psi/values", x=1, y=2)  # connected
            assert answer.status == 200
            before = reads(server)
            tracemalloc.start()
            try:
                relay.slice(4096)
                relay.delay(0.01, chance=random.Random(1))
                streams = [await send(api, "wavefunctions/psi/values") for _ in range(3)]
                passed = relay.replies.passed
                await until(lambda: relay.replies.passed > passed + 100_000)
                assert tracemalloc.get_traced_memory()[0] > 8 * PSI.size
                for stream in streams:
                    await stream.aclose()
                await until(lambda: relay.connections < 4)  # what was under way is not read to its end
                relay.normal()
                answer = await api.get("wavefunctions/psi/values", x=1, y=2)
                assert np.array_equal(answer.values[0], PSI[0, 1, 2].astype("c8"))
                stopped = reads(server)
                assert stopped - before < CHUNKS
                for number in range(5):
                    answer = await api.get("wavefunctions/psi/values", x=number, y=3)
                    assert answer.status == 200
                assert reads(server) - stopped == 5
                gc.collect()
                assert tracemalloc.get_traced_memory()[0] < 4 * PSI.size
            finally:
                tracemalloc.stop()
    await until(lambda: clients(server) == 0)


async def test_a_picture_does_not_wait_for_what_is_large(server: Server) -> None:
    large = wave(1, 128, 96, 64)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(large), store, "psi")
    with relaying(server) as relay:
        async with api_of(relay) as api:
            assert (await api.get("wavefunctions/psi/values", x=1, y=2)).status == 200
            relay.slice(4096)
            relay.delay(0.01, chance=random.Random(2))
            passed = relay.replies.passed
            streams = [await send(api, "wavefunctions/psi/values") for _ in range(3)]
            await until(lambda: relay.replies.passed > passed + 100_000)
            answer = await api.get("wavefunctions/psi/values", x=1, y=2)
            assert np.allclose(answer.values, large[:, 1, 2])
            assert relay.replies.passed < passed + large.nbytes, "not one of the large ones is there yet"
            for stream in streams:
                await stream.aclose()
