"""What a server says on its unix socket: whether it is there, what it serves, and its last reply."""

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
from ..server.facts import parse_info, whole

STOP_DEADLINE: Final = 300.0
"""Seconds that a server may take to save its data and end."""


_TEXTS: Final = {"executable", "redis_version", "loading"}
_NUMBERS: Final = ("process_id", "uptime_in_seconds", "used_memory", "maxmemory")
"""What INFO of every server says that this package starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answered. `started`: whether this call started it. `url` is of the form unix:///path."""

    url: str
    socket: Path
    pid: int
    started: bool
    binary: str
    data_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a running server says about itself: seconds since it started, bytes of memory, keys held."""

    server: Running
    version: str
    uptime: int
    memory_used: int
    maxmemory: int
    keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What INFO says, and the directory in which the server saves: empty if that was removed."""

    information: dict[str, str]
    directory: str

    @property
    def is_loading(self) -> bool:
        return self.information["loading"] == "1"

    @property
    def pid(self) -> int:
        return int(self.information["process_id"])

    def running(self, data_dir: Path, socket: Path, *, started: bool) -> Running:
        return Running(
            url=f"unix://{quote(str(socket))}",
            socket=socket,
            pid=self.pid,
            started=started,
            binary=self.information["executable"],
            data_dir=data_dir,
        )

    def status(self, data_dir: Path, socket: Path) -> Status:
        said = self.information
        name = "Valkey" if "valkey_version" in said else "Redis"
        return Status(
            server=self.running(data_dir, socket, started=False),
            version=f"{name} {said.get('valkey_version', said['redis_version'])}",
            uptime=int(said["uptime_in_seconds"]),
            memory_used=int(said["used_memory"]),
            maxmemory=int(said["maxmemory"]),
            keys=sum(
                whole(counts.split(",")[0].removeprefix("keys=")) or 0
                for database, counts in said.items()
                if re.fullmatch(r"db\d+", database)
            ),
        )


async def ask(socket: Path, *, stall_timeout: float = 60.0) -> Answer | None:
    """What a server says there; None if none listens.

    Raises ServerUnavailable if one listens but does not answer for `stall_timeout` seconds, by
    default a minute: SAVE keeps it busy for 2 to 5 s a GB; also if what it says is not what
    a server says; and ServerCrowded if it has no room for another client.
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
    information, where = replies
    said = parse_info(information) if is_text(information) else {}
    if not (said.keys() >= _TEXTS and all(whole(said.get(name, "")) is not None for name in _NUMBERS)):
        raise ServerUnavailable(f"{socket}: what listens there is no server that serves a data directory")
    if not is_pairs(where) or len(where) != 2:
        raise ServerUnavailable(f"{socket}: the server there does not tell in which directory it saves")
    return Answer(information=said, directory=os.fsdecode(where[1]))


async def shutdown(socket: Path, *, save: bool) -> bool:
    """Let the server end; False if it lives on because it cannot save. Raises ServerUnavailable if it hangs."""
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
