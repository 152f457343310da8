"""The table of errors, row by row, with replies of real servers wherever a server can be made to give them."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from redis._parsers.base import BaseParser

from qwf_async.client.address import Address
from qwf_async.client.failure import (
    _OS_REASONS,
    _REPLIES,
    ConnectionLost,
    KeyExists,
    ServerBusy,
    ServerCrowded,
    SlotParted,
    WrongType,
    translate,
)
from qwf_async.client.node import Node
from qwf_async.errors import InvalidInput, OutOfMemory, QwfError, Refused, ServerUnavailable, UsageError
from tests.conftest import PATIENCE, Server, free_port, new_server
from tests.support.waiting import wait_until

PASSWORD = "open-sesame"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # what an error means does not depend on the event loop


@pytest.fixture(params=["valkey", "redis"])
def any_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    yield from new_server(request.param)


async def failure(server: Server, *command: str, url: str | None = None) -> QwfError:
    """The error of a command that is tried once."""
    pool = Node(Address.parse(url or server.url), connect_timeout=PATIENCE, answer_timeout=PATIENCE)
    try:
        with pytest.raises(QwfError) as raised:
            await pool.call_once(*command, doing="testing")
    finally:
        await pool.aclose()
    assert str(raised.value).startswith(pool.address.shown)
    assert "\n" not in str(raised.value)
    return raised.value


def full(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.config_set("maxmemory", 1)
    return "SET", "k", "v"


def wrong_type(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.set("k", "v")
    return "HSET", "k", "f", "v"


def taken(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.set("k", "v")
    return "RESTORE", "k", "0", "no payload"


def not_permitted(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.acl_setuser("default", enabled=True, nopass=True, commands=["-hset"])
    return "HSET", "k", "f", "v"


def replica(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.replicaof("127.0.0.1", "1")
    return "SET", "k", "v"


def replica_without_its_primary(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.config_set("replica-serve-stale-data", "no")
        client.replicaof("127.0.0.1", "1")
    return "GET", "k"


def too_few_replicas(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.config_set("min-replicas-to-write", 1)
    return "SET", "k", "v"


def cannot_save(server: Server) -> tuple[str, ...]:
    (server.directory / "dump.rdb").mkdir()  # a file can't be renamed to a directory
    with server.plain as client:
        client.config_set("save", "3600 1000000")
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    return "SET", "k", "v"


def password_wanted(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.config_set("requirepass", PASSWORD)
    return "SET", "k", "v"


def loading(server: Server) -> tuple[str, ...]:
    with server.plain as client:
        client.config_set("rdbcompression", "no")
        client.mset({f"key {i}": "x" * 1000 for i in range(400)})
        client.save()
    server.kill()
    # It would take 20 s, and answers after each key.
    server.options |= {"key-load-delay": "50000", "loading-process-events-interval-bytes": "1024"}
    server.start()
    return "GET", "k"


ROWS: dict[str, tuple[Callable[[Server], tuple[str, ...]], type[QwfError], str]] = {
    "OOM": (full, OutOfMemory, "out of memory"),
    "WRONGTYPE": (wrong_type, WrongType, "a key of another type is in the way"),
    "BUSYKEY": (taken, KeyExists, "a key of this name already"),
    "NOPERM": (not_permitted, Refused, "lacks a permission: .*hset"),
    "READONLY": (replica, ServerUnavailable, "a read-only replica"),
    "MASTERDOWN": (replica_without_its_primary, ServerUnavailable, "primary of this replica is down"),
    "NOREPLICAS": (too_few_replicas, ServerUnavailable, "too few replicas"),
    "MISCONF": (cannot_save, ServerUnavailable, "cannot save to its disk"),
    "NOAUTH": (password_wanted, Refused, "wants a password: set QWF_PASSWORD"),
    "LOADING": (loading, ServerBusy, "still loading"),
}
"""Prefix → how a server is made to reply with it, and the error that it must become."""


@pytest.mark.anyio
@pytest.mark.parametrize("prefix", ROWS)
async def test_an_error_reply_becomes_the_error_of_its_row(any_server: Server, prefix: str) -> None:
    provoke, leaf, message = ROWS[prefix]
    error = await failure(any_server, *provoke(any_server))
    assert type(error) is leaf
    assert re.search(message, str(error))
    if prefix not in ("NOAUTH", "LOADING"):
        assert "while testing" in str(error)


@pytest.mark.anyio
async def test_a_server_in_a_long_script_is_busy(any_server: Server) -> None:
    with any_server.plain as client:
        client.config_set("lua-time-limit", 1)

    def loop() -> None:
        with any_server.plain as client, suppress(redis.exceptions.ResponseError):
            client.eval("while true do end", 0)

    running = threading.Thread(target=loop)
    running.start()
    try:
        with any_server.plain as client:
            wait_until(lambda: _is_busy(client))
            try:
                error = await failure(any_server, "GET", "k")
            finally:
                client.script_kill()
    finally:
        running.join()
    assert type(error) is ServerBusy
    assert "busy with a script" in str(error)


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.get("k")
    except redis.exceptions.ResponseError as error:
        return str(error).startswith("BUSY")
    return False


@pytest.mark.anyio
async def test_a_wrong_password_is_refused_without_repeating_it(any_server: Server) -> None:
    password_wanted(any_server)
    error = await failure(any_server, "PING", url=f"unix://:not-{PASSWORD}@{any_server.socket}")
    assert type(error) is Refused
    assert "does not accept this user name and password" in str(error)
    assert PASSWORD not in str(error)


@pytest.mark.anyio
async def test_a_password_where_none_is_set_is_refused(any_server: Server) -> None:
    error = await failure(any_server, "PING", url=f"unix://:{PASSWORD}@{any_server.socket}")
    assert type(error) is Refused
    assert "does not accept this user name and password" in str(error)


@pytest.mark.anyio
async def test_a_database_that_is_not_there_is_a_wrong_url(any_server: Server) -> None:
    error = await failure(any_server, "PING", url=f"{any_server.url}?db=9999")
    assert type(error) is UsageError
    assert "there is no database of this number" in str(error)


@pytest.mark.anyio
async def test_an_unknown_command_is_refused(any_server: Server) -> None:
    error = await failure(any_server, "NOSUCH", "k")
    assert type(error) is Refused
    assert "unknown command" in str(error)


@pytest.mark.anyio
async def test_a_server_with_no_room_for_another_client_is_tried_again(any_server: Server) -> None:
    with any_server.plain as client:
        client.config_set("maxclients", 1)
        pool = Node(Address.parse(any_server.url))
        with pytest.raises(ServerCrowded, match="no room for another client"):
            await pool._new().call("PING")


@pytest.mark.anyio
async def test_a_cluster_without_slots_is_down() -> None:
    with free_port() as port, free_port() as bus:
        options = {"port": str(port), "cluster-port": str(bus), "cluster-enabled": "yes"}
        with contextmanager(new_server)("valkey", **options) as node:
            error = await failure(node, "GET", "k")
    assert type(error) is ServerUnavailable
    assert "the cluster is down" in str(error)


parse_error: Callable[[str], Exception] = BaseParser.parse_error
REPLIES = {
    "TRYAGAIN": (
        "TRYAGAIN Multiple keys request during rehashing of slot",
        SlotParted,
        "moving the slot .*--cluster fix",
    ),
    "ERR, select": ("ERR SELECT is not allowed in cluster mode", UsageError, "in a cluster only 0"),
    "BUSY": ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", ServerBusy, "a script"),
    "CLUSTERDOWN": (
        "CLUSTERDOWN Hash slot not served",
        ServerUnavailable,
        "cluster is down.*--cluster check.*not served",
    ),
    "WRONGPASS": ("WRONGPASS invalid username-password pair", Refused, "does not accept"),
    "ERR": ("ERR max number of clients reached", ServerCrowded, "no room for another client"),
    "ERR, cluster": (
        "ERR max number of clients + cluster connections reached",
        ServerCrowded,
        "no room for another client",
    ),
    "UNBLOCKED": (
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        ServerUnavailable,
        "changed its role",
    ),
    "MISCONF, AOF": (
        "MISCONF Errors writing to the AOF file: No space left",
        ServerUnavailable,
        "cannot save",
    ),
    "OOM, script": (
        "OOM command not allowed when used memory > 'maxmemory'. script: 1",
        OutOfMemory,
        "memory",
    ),
    "NOSCRIPT": ("NOSCRIPT No matching script", Refused, "the server refused"),
    "CROSSSLOT": (
        "CROSSSLOT Keys in request don't hash to the same slot",
        Refused,
        r"a proxy.*redis\+cluster://",
    ),
    "EXECABORT": ("EXECABORT Transaction discarded because of previous errors.", Refused, "discarded"),
}


@pytest.mark.parametrize("prefix", REPLIES)
def test_a_reply_becomes_the_error_of_its_row_as_the_library_parses_it(prefix: str) -> None:
    reply, leaf, message = REPLIES[prefix]
    error = translate(parse_error(reply), where="redis://h:6379", doing="testing")
    assert type(error) is leaf
    assert re.search(message, str(error))
    assert str(error).startswith("redis://h:6379 while testing: ")


def test_no_row_is_without_a_test() -> None:
    assert set(_REPLIES) <= set(ROWS) | set(REPLIES) | {"DENIED"}


def own_address() -> str | None:
    """An address of this machine other than the loopback, if there is one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return None


@pytest.mark.anyio
@pytest.mark.parametrize("software", ["valkey", "redis"])
async def test_a_server_in_protected_mode_is_final(software: str) -> None:
    host = own_address() or "127.0.0.1"
    options = {"bind": "*", "protected-mode": "yes"}
    with free_port() as port, contextmanager(new_server)(software, **options, port=str(port)) as server:
        if host == "127.0.0.1":
            said = "DENIED Running in protected mode because protected mode is enabled"
            error = translate(parse_error(said), where=server.url)
        else:
            error = await failure(server, "PING", url=f"redis://{host}:{port}")
    assert type(error) is Refused
    assert "protected mode and takes only connections from its own machine" in str(error)


@pytest.mark.anyio
async def test_a_script_that_cannot_be_killed_and_commands_out_of_place_are_refused(
    any_server: Server,
) -> None:
    for command, words in {("SCRIPT", "KILL"): "NOTBUSY", ("EXEC",): "EXEC without MULTI"}.items():
        error = await failure(any_server, *command)
        assert type(error) is Refused
        assert words in str(error)


@pytest.mark.anyio
async def test_why_a_connection_cannot_be_made_is_said_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale"))
    (tmp_path / "file").write_text("")
    resolve = socket.getaddrinfo

    def know_all_but_one(host: Any, *arguments: Any, **options: Any) -> Any:
        """Answers in place of a name server, which may be slow or away."""
        if host == "no-such-host.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", know_all_but_one)
    with free_port() as port:
        cases = {
            f"redis://127.0.0.1:{port}": "connection refused, nothing listens there",
            f"redis://localhost:{port}": "connection refused, nothing listens there",
            f"unix://{tmp_path}/stale": "connection refused, nothing listens there",
            f"unix://{tmp_path}/none": "there is no such socket file",
            f"unix://{tmp_path}/file/none": "there is no such socket file",
            "redis://no-such-host.invalid:6379": "the host name does not resolve",
        }
        for url, words in cases.items():
            pool = Node(Address.parse(url))
            with pytest.raises(ServerUnavailable) as raised:
                await pool.call_once("PING", doing="testing")
            assert str(raised.value) == f"{url}: {words}"


@pytest.mark.parametrize("number", _OS_REASONS)
def test_an_error_of_the_system_is_said_in_plain_words(number: int) -> None:
    found = translate(OSError(number, os.strerror(number)), where="unix:///s")
    assert type(found) is ServerUnavailable
    assert str(found) == f"unix:///s: {_OS_REASONS[number]}"


@pytest.mark.parametrize("error", [TimeoutError(), redis.exceptions.TimeoutError("Timeout reading")])
def test_an_answer_that_does_not_come_makes_the_server_unavailable(error: Exception) -> None:
    found = translate(error, where="unix:///s")
    assert type(found) is ServerUnavailable
    assert str(found) == "unix:///s: no answer in time"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConnectionResetError(104, "Connection reset by peer"), "connection lost$"),
        (BrokenPipeError(32, "Broken pipe"), "connection lost$"),
        (redis.exceptions.ConnectionError("Connection closed by server."), "connection lost$"),
        (redis.exceptions.ConnectionError(), "connection lost$"),
        (redis.exceptions.InvalidResponse("Protocol error"), "InvalidResponse: Protocol error"),
        (TypeError("'NoneType' object is not callable"), "connection lost \\(TypeError"),
        (AttributeError("'NoneType' object has no attribute 'write'"), "connection lost \\(AttributeError"),
        (EOFError(), "connection lost"),
    ],
)
def test_whatever_is_no_reply_is_a_lost_connection(error: Exception, message: str) -> None:
    found = translate(error, where="unix:///s")
    assert type(found) is ConnectionLost
    assert re.search(f"^unix:///s: .*{message}", str(found))


def test_an_error_of_ours_stays_itself() -> None:
    error = InvalidInput("as it is")
    assert translate(error, where="unix:///s", doing="anything") is error
