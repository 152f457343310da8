"""TLS servers with no room for another client: they drop it without a word, and are queued for; dead ones are not.

Of the servers of the tests only Redis speaks TLS. Valkey 9.1 drops connections in the same
way: see `acceptCommonHandler` and `connTLSWrite` in its source.
"""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
import redis

import qwf_async
from qwf_async import sources
from qwf_async.client.address import Address
from qwf_async.client.connection import Connection
from qwf_async.client.counts import ConnectionCounts
from qwf_async.client.failure import HungUp
from qwf_async.client.node import Node
from qwf_async.client.retry import Retry
from qwf_async.client.tls import TLSFiles
from qwf_async.errors import ReplayOwed, ServerUnavailable
from qwf_async.events import Event, Retried, Spooled
from qwf_async.settings import Settings
from tests.conftest import Server, new_server
from tests.support.certificates import Certificates
from tests.support.loads import Events, check_points, wave, when_stored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

PSI = wave(6, 10, 10, 10)
MOMENT = 0.2
"""Seconds that these tests use for MAX_SILENCE."""

SOON: dict[str, Any] = {"deadline": 1.0, "spool_after": 0.2}
PATIENT: dict[str, Any] = {"spool_after": 60.0, "socket_timeout": 60.0, "socket_connect_timeout": 60.0}
"""Settings under which only being turned away can look like an outage."""


@pytest.fixture(autouse=True)
def _short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwf_async.client.pool_state.MAX_SILENCE", MOMENT)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    found = Certificates(directory=tmp_path_factory.mktemp("certificates"))
    found.authority("ca")
    found.issue("server", "ca", "DNS:localhost,IP:127.0.0.1")
    return found


@dataclass(slots=True, kw_only=True)
class Place:
    """A server with TLS on a port, which has what it acknowledged after kill -9 too. `plain` is a client that is in."""

    server: Server
    port: int
    files: TLSFiles
    plain: redis.Redis
    others: list[socket.socket] = field(default_factory=list)

    @property
    def address(self) -> Address:
        return Address.parse(f"rediss://localhost:{self.port}", tls=self.files)

    def settings(self, *, port: int | None = None, **more: Any) -> Settings:
        return Settings(url=f"rediss://localhost:{port or self.port}", tls_ca=self.files.ca, **more)

    @property
    def turned_away(self) -> int:
        return int(self.plain.info("stats")["rejected_connections"])

    def fill(self, room: int) -> None:
        """Leave room for so many clients besides those that are connected."""
        known = 1 + len(self.others)
        while len(self.plain.client_list()) != known:  # it notices who came and who went at its next turn
            time.sleep(0.001)
        self.plain.config_set("maxclients", known + room)

    def add_another(self) -> None:
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(self.server.socket))
        self.others.append(one)

    def close_others(self) -> None:
        for one in self.others:
            one.close()
        self.others.clear()


@pytest.fixture
def place(files: Certificates) -> Iterator[Place]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "tls-port": str(port),
        "tls-cert-file": files["server.pem"],
        "tls-key-file": files["server.key"],
        "tls-ca-cert-file": files["ca.pem"],
        "tls-auth-clients": "no",
        "bind": "127.0.0.1",
        "appendonly": "yes",
        "appendfsync": "always",
    }
    for server in new_server("redis", **options):
        with server.plain as plain:
            plain.ping()
            found = Place(server=server, port=port, files=TLSFiles(ca=Path(files["ca.pem"])), plain=plain)
            yield found
            found.close_others()


async def test_a_full_server_is_queued_for_although_it_cannot_say_that_it_is_full(place: Place) -> None:
    place.add_another()
    place.fill(0)
    pool = Node(place.address, deadline=0)  # so no call is tried again
    replies: list[bytes] = []

    async def ask() -> None:
        replies.append(await pool.call("ECHO", "in"))

    try:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                begun = anyio.current_time()
                while place.turned_away < 3 or anyio.current_time() < begun + 5 * MOMENT:  # noqa: ASYNC110 # the server sets no event
                    await anyio.sleep(0.01)
                assert replies == []
                place.close_others()
        assert replies == [b"in"]
        assert pool.counts.turned_away >= 3
        assert (pool.counts.opened, pool.counts.failed, pool.counts.lost) == (1, 0, 0)
    finally:
        await pool.aclose()


async def test_more_jobs_than_there_is_room_for_queue_and_none_sees_an_outage(place: Place) -> None:
    place.fill(2)
    jobs = 5
    events = Events()

    async def job(number: int) -> None:
        async with qwf_async.connect(settings=place.settings(**PATIENT)) as store:
            await qwf_async.ingest(
                sources.array(wave(*PSI.shape, seed=number)),
                store,
                f"psi{number}",
                max_rate=PSI.size / (3 * MOMENT),
                hooks=(events,),
            )

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for number in range(jobs):
                tasks.start_soon(job, number)
    assert place.turned_away > 0
    assert not [event for event in events.all if isinstance(event, Spooled | Retried)]
    for number in range(jobs):
        check_points(place.server, wave(*PSI.shape, seed=number), f"psi{number}")


async def test_a_server_that_dies_is_an_outage_at_once(place: Place) -> None:
    with anyio.fail_after(60):
        async with qwf_async.connect(settings=place.settings(**SOON)) as store:
            source = sources.array(PSI)
            with pytest.raises(ReplayOwed):
                await qwf_async.ingest(source, store, "psi", hooks=(when_stored(3000, place.server.kill),))
            place.server.start()
            await qwf_async.ingest(source, store, "psi", resume=True)
    check_points(place.server, PSI)


@dataclass(slots=True, kw_only=True)
class Proxy:
    """Passes TLS on unchanged. After `cut`, which cuts all connections, it hangs up on new ones and sets `hung_up`."""

    port: int
    target: int
    reached: bool = True
    hung_up: anyio.Event = field(default_factory=anyio.Event)
    links: set[anyio.CancelScope] = field(default_factory=set)

    def cut(self) -> None:
        self.reached = False
        for link in self.links:
            link.cancel()

    async def serve(self, client: anyio.abc.SocketStream) -> None:
        async with client:
            if not self.reached:
                self.hung_up.set()
                return
            with anyio.CancelScope() as scope:
                self.links.add(scope)
                async with (
                    await anyio.connect_tcp("127.0.0.1", self.target) as server,
                    anyio.create_task_group() as both,
                ):
                    both.start_soon(_pass_on, client, server, scope)
                    both.start_soon(_pass_on, server, client, scope)
            self.links.discard(scope)


async def _pass_on(
    one: anyio.abc.SocketStream, other: anyio.abc.SocketStream, scope: anyio.CancelScope
) -> None:
    try:
        async for data in one:
            await other.send(data)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
    scope.cancel()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        own: int = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 # anyio's, not Django's
        proxy = Proxy(port=own, target=port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, proxy.serve)
            yield proxy
            tasks.cancel_scope.cancel()


async def test_a_proxy_that_lost_its_server_is_an_outage(place: Place) -> None:
    """It hangs up as a full server does, but the connections that were open have broken, too."""
    with anyio.fail_after(60):
        async with proxy_to(place.port) as proxy:
            spooled = anyio.Event()

            def note(event: Event) -> None:
                if isinstance(event, Spooled) and event.chunks:
                    spooled.set()

            async def mend() -> None:
                await spooled.wait()
                await proxy.hung_up.wait()
                proxy.reached = True

            settings = place.settings(port=proxy.port, **SOON | {"deadline": 30.0})
            async with qwf_async.connect(settings=settings) as store, anyio.create_task_group() as tasks:
                tasks.start_soon(mend)
                report = await qwf_async.ingest(
                    sources.array(PSI), store, "psi", hooks=(when_stored(3000, proxy.cut), note)
                )
            assert report.spooled_chunks > 0
    check_points(place.server, PSI)


async def test_a_proxy_without_a_server_is_told_in_the_end(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwf_async.client.pool_state.QUEUE", Retry(deadline=3 * MOMENT))
    with anyio.fail_after(60):
        async with proxy_to(place.port) as proxy:
            proxy.cut()
            begun = anyio.current_time()
            with pytest.raises(
                ServerUnavailable, match=r"before the TLS handshake.*no room.*or there is a proxy"
            ):
                async with qwf_async.connect(settings=place.settings(port=proxy.port)):
                    pass
            assert anyio.current_time() - begun >= 3 * MOMENT
            assert proxy.hung_up.is_set()


async def test_a_handshake_that_is_cut_after_the_server_had_answered_is_not_taken_for_want_of_room(
    place: Place,
) -> None:
    """A server that does not accept our certificate looks so if the alert that says so is lost."""
    place.plain.config_set("tls-protocols", "TLSv1.2")  # in which the client has more to say then

    async def answer_and_hang_up(client: anyio.abc.SocketStream) -> None:
        async with client, await anyio.connect_tcp("127.0.0.1", place.port) as server:
            await server.send(await client.receive())
            await client.send(await server.receive())

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port: int = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 # anyio's, not Django's
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, answer_and_hang_up)
            address = Address.parse(f"rediss://localhost:{port}", tls=place.files)
            for _ in range(5):
                counts = ConnectionCounts()
                connection = Connection(address, connect_timeout=20, answer_timeout=20, counts=counts)
                with pytest.raises(HungUp) as raised:
                    await connection.call("PING")
                assert type(raised.value) is HungUp
            tasks.cancel_scope.cancel()
