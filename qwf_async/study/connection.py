"""One blocking connection to a server. It is closed after any failure between a request and its reply.

redis-py makes the connection and lets us in; its retries, pools and timeouts are not used. A reply can
never be taken for another request's, because what failed halfway is never used again.
"""

from __future__ import annotations

import math
import socket as system_socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from socket import socket
from ssl import SSLEOFError
from time import monotonic
from typing import Any, Final

from redis import connection as redis_connection
from redis.asyncio.connection import UnixDomainSocketConnection
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from ..client.address import Address
from ..client.commands import Command
from ..client.counts import ConnectionCounts
from ..client.failure import BROKEN, ConnectionLost, HungUp, ServerCrowded, translate
from ..client.greeting import GREETING, check_greeting
from ..client.redis_private import blocking_socket
from ..client.tls import BlockingTLSConnection, TLSConnection
from .host_name import Name

LEAST_TIME: Final = 0.05
"""Seconds that an attempt gets even after its deadline: a thread that was not scheduled proves no outage."""

IDLE_TIME: Final = 10.0
"""Seconds after which a connection may have died without a word. Then it is given half of the time that is left."""

SEND_BYTES: Final = 256 * 1024
"""Bytes handed to the kernel at a time, each within the time of an attempt."""


LEAST_RATE: Final = 2_000_000
"""Bytes a second at which a long request is trusted to travel: the kernel takes megabytes before they have."""

MAX_GREETING: Final = 1024
"""Bytes that are received at a time while the server greets us."""

_KEEPALIVE: Final = {
    getattr(system_socket, name): value
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(system_socket, name)
}
"""Seconds after which the kernel asks an idle peer whether it lives, between its questions, and how often it asks."""

_KINDS: Final[dict[type | None, type]] = {
    None: redis_connection.Connection,
    TLSConnection: BlockingTLSConnection,
    UnixDomainSocketConnection: redis_connection.UnixDomainSocketConnection,
}
"""The class of connection that an address names → the same for threads."""


class Connection:
    """A connection to one server for one thread at a time. It opens itself when it is first used.

    `where` is the server's masked URL. `counts` are shared with other connections.
    """

    def __init__(self, address: Address, counts: ConnectionCounts) -> None:
        self.address = address
        self.where = address.shown
        self._counts = counts
        self._used = -math.inf
        self._redis = _new(address, LEAST_TIME)
        self._socket: socket | None = None
        self._timeout = 0.0
        self._name = Name(str(address.options.get("host", "")))

    def exchange(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """The replies to commands, in order; an error reply is a ResponseError in its place.

        `deadline` is a time of `time.monotonic()`. Until then the first byte of a reply must come,
        and as long may pass between any two parts of it; longer after a long request. Raises
        ServerUnavailable if the connection cannot be made, is lost, or gives no reply in time; Refused
        if the server does not let us in.
        """
        packed = self._packed(commands)
        self._counts.borrowed += 1
        reused = self._socket is not None
        try:
            begun = monotonic()
            left = max(deadline - begun, LEAST_TIME)
            if self._socket is None:
                self._socket, self._timeout = self._open(left), 0.0
                left = max(deadline - monotonic(), LEAST_TIME)
            elif begun - self._used > IDLE_TIME:
                left = max(left / 2, LEAST_TIME)
            if len(packed) > SEND_BYTES:
                left += len(packed) / LEAST_RATE
            if not 0.98 * self._timeout <= left <= self._timeout:  # to set it is a system call
                self._socket.settimeout(left)
                self._timeout = left
            for start in range(0, len(packed), SEND_BYTES):
                self._socket.sendall(packed[start : start + SEND_BYTES])
            replies = [self._reply() for _ in commands]
        except BaseException as error:
            self.close()
            if not isinstance(error, Exception):
                raise
            meaning = translate(error, where=self.where)
            self._counts.timeouts += isinstance(error, TimeoutError | RedisTimeoutError)
            self._counts.lost += reused and isinstance(meaning, ConnectionLost)
            if meaning is error:
                raise
            raise meaning from error
        self._used = monotonic()
        return replies

    def close(self) -> None:
        """Close the connection; the next exchange opens another. In a forked process the parent's stays open."""
        self._socket = None
        with suppress(Exception):  # a dying connection can raise nearly anything; it is gone either way
            self._redis.disconnect()  # type: ignore[no-untyped-call] # untyped in redis-py

    def _packed(self, commands: Sequence[Command]) -> memoryview:
        pack = self._redis.pack_command
        return memoryview(b"".join(part for command in commands for part in pack(*command)))  # type: ignore[no-untyped-call] # untyped in redis-py

    def _reply(self) -> Any:
        try:
            return self._redis.read_response()
        except ResponseError as error:
            return error

    def _open(self, seconds: float) -> socket:
        """Connect, and be let in. Raises ServerCrowded if there is no room for us."""
        self._redis = _new(self.address, seconds)
        try:
            self._name.check(seconds)
            self._redis.connect_check_health(check_health=False)
        except BaseException as error:
            meaning = translate(error, where=self.where)
            if isinstance(meaning, ConnectionLost) or isinstance(error.__context__, SSLEOFError):
                meaning = HungUp(f"{self.where}: the server hung up without a word")
            crowded = isinstance(meaning, ServerCrowded | HungUp)
            self._counts.turned_away += crowded
            self._counts.failed += not crowded
            if isinstance(error, Exception) and meaning is not error:
                raise meaning from error
            raise
        self._counts.opened += 1
        return blocking_socket(self._redis)


def _new(address: Address, seconds: float) -> redis_connection.AbstractConnection:
    """A connection of redis-py that is not open yet. `seconds` bound each step of opening it."""
    options = dict(address.options)
    if address.hosts:
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
    kind: Any = _KINDS[options.pop("connection_class", None)]
    connection: redis_connection.AbstractConnection = kind(
        **options
        | {
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "health_check_interval": 0,
            "driver_info": None,
            "redis_connect_func": partial(_enter, where=address.shown),
        }
    )
    return connection


def _enter(connection: redis_connection.AbstractConnection, *, where: str) -> None:
    """Hear whether the server has room for us (`client.greeting` says why), then log in and choose the database.

    Over TLS the server's word about our certificate is heard, too, even if it has hung up already.
    """
    sock, line = blocking_socket(connection), b""
    with suppress(*BROKEN, SSLEOFError):
        sock.sendall(GREETING)
    with suppress(*BROKEN, SSLEOFError):
        while not line.endswith(b"\n") and (more := sock.recv(MAX_GREETING)):
            line += more
    check_greeting(line, where=where)
    connection.on_connect_check_health(check_health=False)
