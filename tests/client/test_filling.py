"""Replies that are received in place, over unix sockets, TCP and TLS: whole, torn, too long, cut off and cancelled."""

from __future__ import annotations

import random
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from qwf_async.client.address import Address
from qwf_async.client.failure import UnexpectedReply
from qwf_async.client.node import Node
from qwf_async.errors import ServerUnavailable
from tests.conftest import PATIENCE
from tests.support.certificates import Certificates
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

GIVE = b"*1\r\n$4\r\nGIVE\r\n"
WAIT = b"*1\r\n$4\r\nWAIT\r\n"
REPLY = random.Random(1).randbytes(1_000_003)
CANCELLATIONS = 60


@dataclass(slots=True, kw_only=True)
class Peer:
    """A server that sends `pieces` when it is asked to GIVE, `echo` to ECHO, OK to anything else but WAIT."""

    url: str
    listener: socket.socket
    context: ssl.SSLContext | None
    pieces: list[bytes] = field(default_factory=list)
    hangs_up: bool = False
    talks: list[threading.Thread] = field(default_factory=list)
    last: socket.socket | None = None

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.talks.append(threading.Thread(target=self.talk, args=(connection,)))
                self.talks[-1].start()

    def talk(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(PATIENCE)
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            self.last = connection
            with connection:
                while asked := connection.recv(65_536):
                    if asked == GIVE:
                        for piece in self.pieces:
                            connection.sendall(piece)
                        if self.hangs_up:
                            return
                    elif asked != WAIT:
                        commands = len(
                            re.findall(rb"(?:^|\r\n)\*[0-9]", asked)
                        )  # on opening, two may come at once
                        connection.sendall(b"$4\r\necho\r\n" if b"ECHO" in asked else b"+OK\r\n" * commands)

    def push(self, data: bytes) -> None:
        """Send what nobody has asked for."""
        assert self.last is not None
        self.last.sendall(data)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    found = Certificates(directory=tmp_path_factory.mktemp("certificates"))
    found.authority("ca")
    found.issue("server", "ca", "DNS:localhost,IP:127.0.0.1")
    return found


@pytest.fixture(params=["unix", "tcp", "tls"])
def peer(request: pytest.FixtureRequest, files: Certificates) -> Iterator[Peer]:
    with ExitStack() as stack:
        context = None
        if request.param == "unix":
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qwf-")), "s")
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            listener.listen()
            url = f"unix://{path}"
        else:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        if request.param == "tls":
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(files["server.pem"], files["server.key"])
            url = f"{url.replace('redis', 'rediss')}?ssl_ca_certs={files['ca.pem']}"
        found = Peer(url=url, listener=listener, context=context)
        thread = threading.Thread(target=found.serve)
        thread.start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for talk in found.talks:
            talk.join()


@asynccontextmanager
async def pool_to(peer: Peer, *, answer_timeout: float = PATIENCE) -> AsyncIterator[Node]:
    pool = Node(Address.parse(peer.url), size=1, answer_timeout=answer_timeout)
    try:
        yield pool
    finally:
        await pool.aclose()


def sliced(data: bytes, chance: random.Random) -> list[bytes]:
    edges = sorted({0, len(data), *(chance.randrange(len(data)) for _ in range(chance.randrange(12)))})
    return [data[start:stop] for start, stop in pairwise(edges)]


def same(into: memoryview, expected: bytes = REPLY) -> Callable[[int, int], bool]:
    return lambda start, stop: into[start:stop] == expected[start:stop]


async def test_what_comes_in_pieces_is_there_whole_and_the_connection_goes_on(peer: Peer) -> None:
    chance = random.Random(2)
    async with pool_to(peer) as pool, pool.connection() as connection:
        for _ in range(8):
            peer.pieces = sliced(REPLY, chance)
            into = memoryview(bytearray(len(REPLY)))
            assert await connection.exchange_raw([GIVE], into, same(into))
            assert into == REPLY
            assert await connection.call("ECHO", "x") == b"echo"
        assert pool.counts.opened == 1


async def test_bytes_beyond_what_was_asked_for_are_noticed(peer: Peer) -> None:
    async with pool_to(peer) as pool, pool.connection() as connection:
        peer.pieces = [REPLY[:100_000] + b"+"]
        into = memoryview(bytearray(100_000))
        with pytest.raises(UnexpectedReply, match="more replies than requests"):
            await connection.exchange_raw([GIVE], into, same(into))
        assert not connection.is_open
        assert await connection.call("ECHO", "x") == b"echo"


async def test_bytes_that_come_later_unasked_are_never_taken_for_a_reply(peer: Peer) -> None:
    async with pool_to(peer) as pool, pool.connection() as connection:
        peer.pieces = [REPLY]
        into = memoryview(bytearray(len(REPLY)))
        assert await connection.exchange_raw([GIVE], into, same(into))
        await anyio.to_thread.run_sync(peer.push, b"+late\r\n")
        await until(lambda: connection._parser.has_rest)
        assert await connection.call("ECHO", "x") == b"echo"
        assert pool.counts.opened == 2


async def test_at_the_first_difference_the_connection_is_closed(peer: Peer) -> None:
    async with pool_to(peer) as pool, pool.connection() as connection:
        peer.pieces = [REPLY[:70_000], b"-ERR no\r\n"]
        into = memoryview(bytearray(len(REPLY)))
        assert not await connection.exchange_raw([GIVE], into, same(into))
        assert not connection.is_open
        assert await connection.call("ECHO", "x") == b"echo"


async def test_a_peer_that_hangs_up_in_the_midst_is_unavailable(peer: Peer) -> None:
    async with pool_to(peer) as pool, pool.connection() as connection:
        peer.pieces, peer.hangs_up = [REPLY[:70_000]], True
        into = memoryview(bytearray(len(REPLY)))
        with pytest.raises(ServerUnavailable):
            await connection.exchange_raw([GIVE], into, same(into))
        assert not connection.is_open
        assert pool.counts.lost == 1
        peer.hangs_up = False
        assert await connection.call("ECHO", "x") == b"echo"


async def test_a_peer_that_sends_nothing_runs_into_the_timeout(peer: Peer) -> None:
    async with pool_to(peer, answer_timeout=0.1) as pool, pool.connection() as connection:
        with pytest.raises(ServerUnavailable):
            await connection.exchange_raw([WAIT], memoryview(bytearray(10)), lambda *_: True)
        assert not connection.is_open
        assert pool.counts.timeouts == 1


async def test_an_error_of_the_comparison_is_raised_and_closes_the_connection(peer: Peer) -> None:
    def fails(*_: int) -> bool:
        raise ZeroDivisionError

    async with pool_to(peer) as pool, pool.connection() as connection:
        peer.pieces = [REPLY]
        with pytest.raises(ServerUnavailable) as raised:
            await connection.exchange_raw([GIVE], memoryview(bytearray(len(REPLY))), fails)
        assert isinstance(raised.value.__cause__, ZeroDivisionError)
        assert not connection.is_open


async def test_who_is_cancelled_gets_nothing_more_and_the_next_gets_its_own(peer: Peer) -> None:
    chance = random.Random(3)
    cancelled = 0
    async with pool_to(peer) as pool, pool.connection() as connection:
        while cancelled < CANCELLATIONS:
            peer.pieces = sliced(REPLY, chance)
            into = memoryview(bytearray(len(REPLY)))
            turns = chance.randrange(12)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(connection.exchange_raw, [GIVE], into, same(into))
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            cancelled += scope.cancelled_caught
            before = bytes(into)
            assert await connection.call("ECHO", "x") == b"echo"
            assert into == before
        peer.pieces = [REPLY]
        assert await connection.exchange_raw([GIVE], into, same(into))
