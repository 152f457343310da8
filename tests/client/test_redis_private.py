"""The private names of redis-py and asyncio that the client uses: the test that fails says which one is gone.

All other tests of the client show that these names still do what they did.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import ssl
from pathlib import Path
from typing import Any

import pytest
from redis import connection as blocking
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

import qwf_async
from qwf_async.client.parser import Parser

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("redis._parsers.hiredis", "_AsyncHiredisParser"),
        ("redis._parsers.hiredis", "NOT_ENOUGH_DATA"),
        ("redis._parsers.base", "BaseParser"),
        ("redis.asyncio.connection", "AbstractConnection"),
        ("redis.asyncio.connection", "RedisSSLContext"),
        ("redis.asyncio.connection", "parse_url"),
    ],
)
def test_a_name_of_a_module_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("kind", [Connection, SSLConnection, UnixDomainSocketConnection])
@pytest.mark.parametrize(
    "name",
    ["_reader", "_writer", "_parser", "_connect", "_close", "is_connected", "on_connect_check_health", "pack_commands"],
)  # fmt: skip
def test_a_name_of_a_connection_is_there(kind: type[Any], name: str) -> None:
    assert hasattr(kind(), name)


def test_the_path_of_a_connection_over_a_unix_socket_is_there() -> None:
    assert UnixDomainSocketConnection(path="/run/redis.sock").path == "/run/redis.sock"


@pytest.mark.parametrize(
    "option", ["driver_info", "parser_class", "health_check_interval", "socket_connect_timeout"]
)
def test_a_connection_takes_an_option(option: str) -> None:
    accepted = {name for base in Connection.__mro__ for name in inspect.signature(base).parameters}
    assert option in accepted


@pytest.mark.parametrize(
    "kind", [blocking.Connection, blocking.SSLConnection, blocking.UnixDomainSocketConnection]
)
@pytest.mark.parametrize("name", ["_sock", "connect_check_health", "on_connect_check_health", "pack_command"])
def test_a_name_of_a_blocking_connection_is_there(kind: type[Any], name: str) -> None:
    connection = kind(redis_connect_func=None, driver_info=None, health_check_interval=0)
    assert hasattr(connection, name)


def test_a_blocking_connection_makes_its_handshake_where_ours_does() -> None:
    assert hasattr(blocking.SSLConnection, "_wrap_socket_with_ssl")


@pytest.mark.parametrize("name", ["_reader", "_stream", "_read_size", "on_connect", "read_from_socket"])
async def test_a_name_of_a_parser_is_there(name: str) -> None:
    connection: Any = Connection(parser_class=Parser)
    connection._reader = asyncio.StreamReader()
    connection._parser.on_connect(connection)
    assert hasattr(connection._parser, name)


async def test_the_buffer_of_a_stream_is_there() -> None:
    stream: Any = asyncio.StreamReader()
    stream.feed_data(b"+OK\r\n")
    assert stream._buffer == b"+OK\r\n"


@pytest.mark.parametrize("name", ["feed", "gets", "has_data"])
def test_a_name_of_hiredis_is_there(name: str) -> None:
    import hiredis

    assert hasattr(hiredis.Reader(), name)


def test_the_context_of_tls_is_the_one_that_was_set() -> None:
    connection = SSLConnection()
    assert connection.ssl_context.context is None
    context = ssl.create_default_context()
    connection.ssl_context.context = context
    assert connection.ssl_context.get() is context


def test_nothing_else_uses_private_names_of_the_library() -> None:
    root = Path(qwf_async.__file__).parent
    private = ("redis._", "._connect(", "._close(", "connection._", "._buffer")
    users = {
        path.name
        for path in root.rglob("*.py")
        if any(name in path.read_text().replace("self._connection", "") for name in private)
    }
    assert users == {"redis_private.py"}
