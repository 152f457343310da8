"""Every private name of redis-py and of asyncio's streams that this package uses, and nothing else does.

Checked with redis-py 7.2.0 to 8.1.0 and hiredis 3.2.0 to 3.5.0. The tests of this file
name each of these names: after an upgrade they say which one is gone.

The library has no public way to the streams of a connection, to a parser that is not its own,
or to close a connection without awaiting anything.
"""

from __future__ import annotations

from abc import abstractmethod
from asyncio import StreamReader, StreamWriter, open_unix_connection
from socket import socket
from ssl import SSLContext, SSLSocket
from typing import Any, Final, cast

import redis.connection
from redis._parsers.base import BaseParser
from redis._parsers.hiredis import NOT_ENOUGH_DATA, _AsyncHiredisParser
from redis.asyncio.connection import AbstractConnection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError

INCOMPLETE: Final = NOT_ENOUGH_DATA
"""What hiredis gives while the next reply has not come whole."""


class HiredisParser(_AsyncHiredisParser):
    """redis-py's parser on hiredis, with typed names for what it holds."""

    _reader: Any
    _stream: Any

    @property
    def has_rest(self) -> bool:
        """Whether anything came after the last reply that was read."""
        return bool(self._reader.has_data() or self._stream._buffer)

    async def received(self) -> bytes:
        """The bytes that come next. Raises ConnectionError of redis-py at the end of the stream."""
        data: bytes = await self._stream.read(self._read_size)
        if not data:
            raise RedisConnectionError("the server closed the connection")
        return data


class PreparedSSLConnection(SSLConnection):
    """redis-py's connection over TLS, which calls `prepare` before each attempt to connect."""

    def prepare(self) -> None:
        """Set what the handshake needs."""

    async def _connect(self) -> None:
        self.prepare()
        await super()._connect()  # type: ignore[no-untyped-call] # untyped in redis-py


class BlockingSSLConnection(redis.connection.SSLConnection):
    """redis-py's blocking connection over TLS, whose context is ours."""

    @abstractmethod
    def context(self) -> SSLContext:
        """The context of the next handshake."""

    def _wrap_socket_with_ssl(self, sock: socket) -> SSLSocket:
        return self.context().wrap_socket(sock, server_hostname=self.host)


def blocking_socket(connection: redis.connection.AbstractConnection) -> socket:
    """The socket of a blocking connection that is open."""
    return cast("socket", connection._sock)


async def connect(connection: AbstractConnection) -> None:
    """Make the connection of the socket, and of TLS, and say nothing yet."""
    if isinstance(connection, UnixDomainSocketConnection):
        # Its own _connect introduces itself before we could listen.
        connection._reader, connection._writer = await open_unix_connection(connection.path)
    else:
        await connection._connect()  # type: ignore[no-untyped-call] # untyped in redis-py


def streams(connection: AbstractConnection) -> tuple[StreamReader, StreamWriter]:
    """The streams of a connection that is open."""
    return cast("tuple[StreamReader, StreamWriter]", (connection._reader, connection._writer))


def parser_of(connection: AbstractConnection) -> Any:
    """The parser that the connection has made of its `parser_class`."""
    return connection._parser


def drop(connection: AbstractConnection) -> None:
    """Close the connection without awaiting anything: the public way is awaited, and can be cancelled halfway."""
    connection._close()  # type: ignore[no-untyped-call] # untyped in redis-py


def error_reply(text: str) -> Exception:
    """The error of redis-py for the text of an error reply."""
    return cast("Exception", BaseParser.parse_error(text))  # type: ignore[no-untyped-call] # untyped in redis-py
