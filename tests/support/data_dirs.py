"""Data directories of embedded servers, and the processes that live in them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis

from qwf_async.embedded.data_dir import DataDir
from qwf_async.embedded.lifecycle import status
from qwf_async.embedded.status import RunningServer


def new_data_dir(parent: Path) -> Iterator[Path]:
    """For a fixture: a data directory to be; whatever server of it is left at the end is killed."""
    directory = parent / "data"
    yield directory
    for pid in processes(directory):
        os.kill(pid, signal.SIGKILL)
    for socket in _sockets(directory):
        socket.unlink(missing_ok=True)


def processes(data_dir: Path) -> list[int]:
    """Server processes of a data directory, of up to 4 shards, by the sockets in their titles."""
    names = [socket.name for socket in _sockets(data_dir)]
    listing = subprocess.run(
        ["/bin/ps", "-axww", "-o", "pid=,stat=,command="], capture_output=True, text=True, check=True
    )
    rows = (line.split(None, 2) for line in listing.stdout.splitlines())
    return [
        int(pid)
        for pid, state, command in rows
        if not state.startswith("Z") and any(name in command for name in names)
    ]


def _sockets(data_dir: Path) -> list[Path]:
    places = [data_dir, *(data_dir / f"shard-{number}" for number in range(1, 5))]
    return [DataDir.of(place).socket for place in places]


def plain(server: RunningServer) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.socket), protocol=2)


async def running(data_dir: Path) -> RunningServer | None:
    """The server of a data directory if it lives, else None."""
    state = await status(data_dir)
    return None if state is None else state.server
