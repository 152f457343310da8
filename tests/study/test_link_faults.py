"""The link of studies where networks and servers fail in ways of their own."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from qwf_async.client.failure import ServerCrowded, WrongType
from qwf_async.errors import OutOfMemory, Refused, ServerUnavailable
from qwf_async.study import connection
from qwf_async.study.link import Server as Link
from tests.conftest import PATIENCE, Server, free_port, new_server
from tests.support.loads import ask
from tests.support.relay import relaying


def soon() -> float:
    return time.monotonic() + PATIENCE


def test_a_connection_that_died_in_silence_while_idle_costs_half_the_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_TIME", 0.0)
    with relaying(server) as relay:
        link = Link.open(relay.url)
        link.call("a", "SET", "a", 1)
        relay.discard()
        relay.normal()  # for new connections: this one stays half-open
        assert link.call("a", "GET", "a", deadline=time.monotonic() + 1) == b"1"
        assert (link.counts.opened, link.counts.timeouts) == (2, 1)
        link.close()


def test_a_long_reply_may_take_longer_than_the_deadline_while_it_comes(server: Server) -> None:
    with relaying(server) as relay:
        link = Link.open(relay.url, after=0.5)
        value = bytes(300_000)
        link.call("a", "SET", "a", value, deadline=soon())
        relay.slice(1024)
        begun = time.monotonic()
        while time.monotonic() < begun + 0.6:
            assert link.call("a", "GET", "a") == value
        link.close()


def test_a_long_request_has_longer_for_its_way(server: Server) -> None:
    with relaying(server) as relay:
        link = Link.open(relay.url)
        link.call("a", "PING")
        relay.delay(0.3, chance=random.Random(1))
        assert link.call("a", "SET", "a", bytes(4_000_000)) == b"OK"
        assert link.counts.opened == 1
        with pytest.raises(ServerUnavailable):
            link.call("a", "GET", "b")
        link.close()


def test_a_lost_reply_is_asked_for_again(server: Server) -> None:
    with relaying(server) as relay:
        link = Link.open(relay.url)
        link.call("a", "PING")
        relay.replies.cut_after([0, 0], in_pieces=True)
        assert link.call("a", "SET", "a", 1, deadline=soon()) == b"OK"
        assert relay.cuts == 2
        link.close()


PUSH = "return redis.call('RPUSH', KEYS[1], ARGV[1])"


def test_errors_within_a_script_mean_what_they_mean_without(each_own_server: Server) -> None:
    link = Link.open(each_own_server.url, after=0.1)
    link.call("text", "SET", "text", 1)
    with pytest.raises(WrongType):
        link.eval(PUSH, [b"text"], [1])
    ask(each_own_server, "CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(OutOfMemory):
        link.eval(PUSH, [b"list"], [1])
    ask(each_own_server, "CONFIG", "SET", "maxmemory", "0")
    ask(each_own_server, "CONFIG", "SET", "min-replicas-to-write", "1")
    with pytest.raises(ServerUnavailable, match="too few replicas"):
        link.eval(PUSH, [b"list"], [1])
    ask(each_own_server, "CONFIG", "SET", "min-replicas-to-write", "0")
    ask(each_own_server, "REPLICAOF", "localhost", "1")
    with pytest.raises(ServerUnavailable, match="read-only replica"):
        link.eval(PUSH, [b"list"], [1])
    ask(each_own_server, "REPLICAOF", "NO", "ONE")
    assert link.eval(PUSH, [b"list"], [1]) == 1
    link.close()


@pytest.fixture(params=["unix", "tcp"])
def crowded(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a server with room for one client."""
    with free_port() as port:
        for server in new_server("valkey", port=str(port), bind="127.0.0.1", maxclients="1"):
            yield server.url if request.param == "unix" else f"redis://127.0.0.1:{port}"


def test_a_crowded_server_is_named_and_waited_for(crowded: str) -> None:
    first, second = Link.open(crowded), Link.open(crowded, after=0.1)
    first.call("a", "PING", deadline=soon())
    with pytest.raises(ServerCrowded, match="no room for another client"):
        second.call("a", "PING")
    assert second.counts.turned_away > 0
    first.close()
    assert second.call("a", "PING", deadline=soon()) == b"PONG"
    second.close()


def test_a_name_that_is_not_resolved_in_time_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, real = Event(), socket.getaddrinfo

    def slow(*arguments: object, **options: object) -> object:
        go_on.wait(PATIENCE)
        return real("127.0.0.1", *arguments[1:], **options)  # type: ignore[arg-type] # whatever it was given

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    link = Link.open("redis://far.example", after=0.1)
    with pytest.raises(ServerUnavailable, match="no answer in time"):
        link.call("a", "PING")
    go_on.set()
    link.close()


def test_a_server_that_is_too_old_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        old = Thread(target=serve_as_redis_6, args=(listener,))
        old.start()
        link = Link.open(f"redis://127.0.0.1:{listener.getsockname()[1]}", after=PATIENCE)
        with pytest.raises(Refused, match=r"this is Redis 6\.2\.7, and studies need Redis 7"):
            link.call("a", "PING")
        link.close()
        old.join()


def serve_as_redis_6(listener: socket.socket) -> None:
    """Answer one client as a server of its version does."""
    client, _ = listener.accept()
    with client:
        while data := client.recv(4096):
            info = b"$21\r\nredis_version:6.2.7\r\n\r\n"
            for request in data.split(b"*")[1:]:
                client.sendall(b"+PONG\r\n" if b"PING" in request else info)
