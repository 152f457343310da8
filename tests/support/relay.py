"""A relay in front of a real server, over TCP and a unix socket, that fails as networks do when it is told to.

It runs in a thread with an event loop of its own: tests on any event loop, tests without one
and commands in processes of their own can all go through it, and steer it while it runs. Bytes
are counted as they are passed on, over all connections of a direction together.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.conftest import PATIENCE, Server, free_port

READ_BYTES: Final = 64 * 1024
UNDER_WAY: Final = 256
"""Pieces that may be on their way in one direction of one connection: what a slow line holds."""


@dataclass(slots=True, kw_only=True)
class Flow:
    """One direction, over all connections: bytes and pieces passed on, and after how many more the next cut comes.

    A piece is what was there to be read at a time: a reply, or a few. `writes` counts the slices of them.
    """

    passed: int = 0
    pieces: int = 0
    writes: int = 0
    gaps: Iterator[int] = field(default_factory=lambda: iter(()))
    left: int | None = None
    in_pieces: bool = False

    def cut_after(self, gaps: Iterable[int], *, in_pieces: bool = False) -> None:
        self.gaps = iter(gaps)
        self.left = next(self.gaps, None)
        self.in_pieces = in_pieces

    def allow(self, data: bytes) -> tuple[bytes, bool]:
        """The part of a piece that may pass, and whether the connection is cut after it."""
        length = 1 if self.in_pieces else len(data)
        cut = self.left is not None and self.left < length
        if self.left is not None:
            if cut:
                data = b"" if self.in_pieces else data[: self.left]
            self.left = next(self.gaps, None) if cut else self.left - length
        self.passed += len(data)
        self.pieces += not cut
        return data, cut


@dataclass(slots=True, kw_only=True, eq=False)
class Link:
    """One connection of a client, with the relay's own to the server. `lost`: whatever comes is thrown away."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    lost: bool
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, last: asyncio.StreamWriter | None = None) -> None:
        """End it at once; what was passed on by `last` still arrives."""
        for writer in (self.client, self.server):
            if writer is last:
                writer.close()
            else:
                writer.transport.abort()
        self.ended.set()


class Relay:
    """Made by `relaying`. Its methods may be called from any thread, and have taken effect when they return.

    Faults stay until `normal`; cuts at given bytes until their gaps are used up, too.
    `accepted` counts connections, `cuts` those that were cut.
    """

    def __init__(self, target: Path, directory: Path, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.requests = Flow()
        self.replies = Flow()
        self.accepted = 0
        self.cuts = 0
        self._target = target
        self._path = directory / "r"
        self._port = port
        self._loop = loop
        self._links: set[Link] = set()
        self._listeners: list[asyncio.Server] = []
        self._handlers: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.Task[None]] = []
        self._delay = self._jitter = 0.0
        self._chance = random.Random()
        self._sizes: Sequence[int] = (READ_BYTES,)
        self._sizing = random.Random(1)
        self._discards = False

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    @property
    def tcp_url(self) -> str:
        return f"redis://127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """Connections that go through it now."""
        return len(self._links)

    def normal(self, *, after: float = 0.0) -> None:
        """Pass everything on, and take new connections. Those that something of was discarded stay lost.

        With `after`, that will happen so many seconds from now.
        """

        async def plan() -> None:
            self._timers.append(asyncio.ensure_future(self._normal_after(after)))

        self._steer(plan if after else self._normal)

    def delay(self, seconds: float, *, jitter: float = 0.0, chance: random.Random) -> None:
        """Delay what goes in either direction by these seconds, give or take the jitter. The order stays."""

        async def change() -> None:
            self._delay, self._jitter, self._chance = seconds, jitter, chance

        self._steer(change)

    def slice(self, *sizes: int) -> None:
        """Pass on this number of bytes at a time, in either direction. Of several numbers, a random one each time."""

        async def change() -> None:
            self._sizes = sizes

        self._steer(change)

    def discard(self) -> None:
        """Take what comes from either side, over old and new connections, and pass nothing on: all are half-open."""

        async def change() -> None:
            self._discards = True
            for link in self._links:
                link.lost = True

        self._steer(change)

    def refuse(self) -> None:
        """Refuse new connections. Those that are open go on."""
        self._steer(self._refuse)

    def cut(self) -> None:
        """Cut all connections that are open."""

        async def change() -> None:
            for link in self._links:
                self._cut(link)

        self._steer(change)

    def cut_requests(self, gaps: Iterable[int]) -> None:
        """Cut a connection when so many more bytes went to the server, and again after each further gap."""
        self._cut_flow(self.requests, gaps)

    def cut_replies(self, gaps: Iterable[int]) -> None:
        """Cut a connection when so many more bytes came from the server; 0 is before the next reply."""
        self._cut_flow(self.replies, gaps)

    def lose_replies(self, gaps: Iterable[int]) -> None:
        """As `cut_replies`, but counted in pieces: none is torn, and with 0 the next is lost whole."""
        self._cut_flow(self.replies, gaps, in_pieces=True)

    def stop(self) -> None:
        """End all connections, and stop listening."""
        self._steer(self._stop)

    def _cut_flow(self, flow: Flow, gaps: Iterable[int], *, in_pieces: bool = False) -> None:
        async def change() -> None:
            flow.cut_after(gaps, in_pieces=in_pieces)

        self._steer(change)

    def _steer(self, change: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(change(), self._loop).result(PATIENCE)

    async def _normal_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._normal()

    async def _normal(self) -> None:
        self._delay = self._jitter = 0.0
        self._sizes = (READ_BYTES,)
        self._discards = False
        for flow in (self.requests, self.replies):
            flow.cut_after(())
        if not self._listeners:
            unix = await asyncio.start_unix_server(self._serve, self._path)
            tcp = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._listeners = [unix, tcp]

    async def _refuse(self) -> None:
        for listener in self._listeners:
            for accepting in listener.sockets:
                self._loop.remove_reader(accepting)
        # A connection that was accepted in this turn of the loop is served in the next: by a listener
        # that was closed meanwhile it would be left open (CPython 3.11, `Server._attach`).
        await asyncio.sleep(0)
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    async def _stop(self) -> None:
        await _cancelled(self._timers)
        await self._refuse()
        for link in self._links:
            link.end()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close in the next turn of the loop

    def _cut(self, link: Link, last: asyncio.StreamWriter | None = None) -> None:
        self.cuts += 1
        link.end(last)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.accepted += 1
        try:
            await self._connect(reader, writer)
        except OSError:
            writer.transport.abort()  # no server: as where it had listened itself, and died
        finally:
            self._handlers.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, until either side ends it or it is cut."""
        from_server, to_server = await asyncio.open_unix_connection(self._target)
        link = Link(client=writer, server=to_server, lost=self._discards)
        self._links.add(link)
        ways = [
            asyncio.ensure_future(self._carry(link, reader, to_server, self.requests)),
            asyncio.ensure_future(self._carry(link, from_server, writer, self.replies)),
            asyncio.ensure_future(link.ended.wait()),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(ways)
            writer.close()  # sends what it still holds
            to_server.close()
            self._links.discard(link)

    async def _carry(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: Flow
    ) -> None:
        """Carry one direction of a connection, to its end."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)
        delivering = asyncio.ensure_future(self._deliver(link, under_way, writer, flow))
        due = 0.0
        try:
            data = b"begun"
            while data:
                data = await _some(reader)
                if not data and link.lost and flow is self.replies:
                    await asyncio.Event().wait()  # the client is not told that the server has gone
                late = self._delay + self._chance.uniform(-self._jitter, self._jitter)
                due = max(due, self._loop.time() + late)
                await under_way.put((due, data))
            await delivering
        finally:
            await _cancelled([delivering])

    async def _deliver(
        self,
        link: Link,
        under_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
        flow: Flow,
    ) -> None:
        """Pass on what is due, to the empty piece that stands for the end."""
        while True:
            due, data = await under_way.get()
            if not data:
                return
            if due > self._loop.time():
                await asyncio.sleep(due - self._loop.time())
            if link.lost:
                continue
            data, cut = flow.allow(data)
            with suppress(ConnectionError):
                start = 0
                while start < len(data):
                    stop = start + self._sizing.choice(self._sizes)
                    writer.write(data[start:stop])
                    start = stop
                    flow.writes += 1
                    await writer.drain()
                    await asyncio.sleep(0)
            if cut:
                self._cut(link, last=writer)
                return


@contextmanager
def relaying(server: Server) -> Iterator[Relay]:
    """A relay to a server, which may be killed and started meanwhile; nothing of it is left at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="relay")
    thread.start()
    # Not under tmp_path: the path of a socket may have only about 107 bytes.
    with tempfile.TemporaryDirectory(prefix="qwf-") as directory, free_port() as port:
        relay = Relay(server.socket, Path(directory), port, loop)
        try:
            relay.normal()
            yield relay
        finally:
            relay.stop()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _some(reader: asyncio.StreamReader) -> bytes:
    """What has come; nothing at the end, however it came about."""
    try:
        return await reader.read(READ_BYTES)
    except ConnectionError:
        return b""


async def _cancelled(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
