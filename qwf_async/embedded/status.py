"""The two commands that a server gets on its unix socket: INFO, for its status, and SHUTDOWN."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ..client.address import Address
from ..client.connection import Connection
from ..client.counts import ConnectionCounts
from ..client.failure import ServerCrowded
from ..client.reply import is_pairs, is_text
from ..errors import ServerUnavailable
from ..server.info import parse_info, whole_number
from .allocator import Allocator

ANSWER_STALL: Final = 60.0
"""Seconds for which a server may be silent before it answers to INFO."""

STOP_DEADLINE: Final = 300.0
"""Seconds that a server may take to save its data and end."""


_TEXT_ENTRIES: Final = {"executable", "redis_version", "loading", "mem_allocator"}
_NUMERIC_ENTRIES: Final = ("process_id", "uptime_in_seconds", "used_memory", "maxmemory")
"""Entries of INFO that every server has which this package starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that answered. `started`: whether this call started it. `url` is of the form unix:///path."""

    url: str
    socket: Path
    pid: int
    started: bool
    binary: str
    data_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """The status of a running server: `uptime` in seconds, memory in bytes, and the number of its keys."""

    server: RunningServer
    version: str
    uptime: int
    memory_used: int
    maxmemory: int
    allocator: Allocator
    keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoAnswer:
    """The entries of INFO, and the directory in which the server saves, which is empty if it was removed."""

    entries: dict[str, str]
    directory: str

    @property
    def is_loading(self) -> bool:
        return self.entries["loading"] == "1"

    @property
    def pid(self) -> int:
        return int(self.entries["process_id"])

    def running(self, data_dir: Path, socket: Path, *, started: bool) -> RunningServer:
        return RunningServer(
            url=f"unix://{quote(str(socket))}",
            socket=socket,
            pid=self.pid,
            started=started,
            binary=self.entries["executable"],
            data_dir=data_dir,
        )

    def status(self, data_dir: Path, socket: Path, allocator: Allocator) -> ServerStatus:
        entries = self.entries
        name = "Valkey" if "valkey_version" in entries else "Redis"
        return ServerStatus(
            server=self.running(data_dir, socket, started=False),
            version=f"{name} {entries.get('valkey_version', entries['redis_version'])}",
            uptime=int(entries["uptime_in_seconds"]),
            memory_used=int(entries["used_memory"]),
            maxmemory=int(entries["maxmemory"]),
            allocator=allocator,
            keys=sum(
                whole_number(counts.split(",")[0].removeprefix("keys=")) or 0
                for database, counts in entries.items()
                if re.fullmatch(r"db\d+", database)
            ),
        )


async def ask_info(socket: Path, *, stall_timeout: float = ANSWER_STALL) -> InfoAnswer | None:
    """What the server on this socket answers to INFO; None if no server listens there.

    A server is silent while it saves, for 2 to 5 s a GB. Raises ServerUnavailable if it does not
    answer for `stall_timeout` seconds, or if its answer is not that of a server with a data
    directory. Raises ServerCrowded if the server has no room for another client.
    """
    async with _connection(socket) as connection:
        try:
            replies = await connection.pipeline(
                [("INFO",), ("CONFIG", "GET", "dir")], stall_timeout=stall_timeout
            )
        except ServerCrowded:
            raise
        except ServerUnavailable as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
            return None
    info, directory = replies
    entries = parse_info(info) if is_text(info) else {}
    numbers = (whole_number(entries.get(name, "")) for name in _NUMERIC_ENTRIES)
    if not entries.keys() >= _TEXT_ENTRIES or None in numbers:
        raise ServerUnavailable(f"{socket}: what listens there is no server that serves a data directory")
    if not is_pairs(directory) or len(directory) != 2:
        raise ServerUnavailable(f"{socket}: the server there does not tell in which directory it saves")
    return InfoAnswer(entries=entries, directory=os.fsdecode(directory[1]))


async def send_shutdown(socket: Path, *, save: bool) -> bool:
    """True if the server on this socket ends, and False if it lives on because it cannot save.

    Raises ServerUnavailable if it does neither within STOP_DEADLINE.
    """
    async with _connection(socket) as connection:
        try:
            await connection.pipeline([("SHUTDOWN", "SAVE" if save else "NOSAVE")])
        except ServerUnavailable as error:
            if isinstance(error.__cause__, TimeoutError):
                raise
            return True  # the connection ends with the server
    return False


@asynccontextmanager
async def _connection(socket: Path) -> AsyncIterator[Connection]:
    connection = Connection(
        Address.parse(f"unix://{quote(str(socket))}"),
        connect_timeout=5.0,
        answer_timeout=STOP_DEADLINE,
        counts=ConnectionCounts(),
    )
    try:
        yield connection
    finally:
        connection.close()
