"""The relay that makes faults: it does what it is told."""

from __future__ import annotations

import random
import socket
import time
from contextlib import suppress

import pytest

from tests.conftest import PATIENCE, Server
from tests.support.relay import Relay


def test_the_relay_does_what_it_is_told(server: Server, relay: Relay, chance: random.Random) -> None:
    ping, pong = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"

    def open_one(*, over_tcp: bool = True) -> socket.socket:
        if over_tcp:
            return socket.create_connection(
                ("127.0.0.1", int(relay.tcp_url.rpartition(":")[2])), timeout=PATIENCE
            )
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        try:
            client.connect(relay.url.removeprefix("unix://"))
        except OSError:
            client.close()
            raise
        return client

    def received(client: socket.socket) -> bytes:
        """All until the end of the connection."""
        data = b""
        with suppress(ConnectionError):
            while some := client.recv(100):
                data += some
        return data

    for over_tcp in (True, False):
        for length in range(len(pong)):
            with open_one(over_tcp=over_tcp) as client:
                relay.cut_replies([len(pong) + length])
                client.sendall(ping * 2)
                assert received(client) == pong + pong[:length]
        with open_one(over_tcp=over_tcp) as client:
            relay.cut_requests([len(ping) + 3])
            passed = relay.requests.passed
            client.sendall(ping * 2)
            assert received(client) in (b"", pong)
            assert relay.requests.passed == passed + len(ping) + 3
    with open_one() as idle, open_one() as busy:
        for client in (idle, busy):
            client.sendall(ping)
            assert client.recv(100) == pong
        relay.discard()
        busy.sendall(ping)
        relay.normal()
        for client in (idle, busy):
            client.settimeout(0.05)
            client.sendall(ping)
            with pytest.raises(TimeoutError):
                client.recv(100)
    with open_one() as client:
        relay.slice(1)
        writes = relay.replies.writes
        client.sendall(ping * 100)
        assert b"".join(client.recv(1) for _ in range(100 * len(pong))) == pong * 100
        assert relay.replies.writes >= writes + 100 * len(pong) - 1  # the last is counted when it has gone
        relay.normal()
        relay.delay(0.1, jitter=0.05, chance=chance)
        begun = time.monotonic()
        client.sendall(ping)
        assert client.recv(100) == pong
        assert time.monotonic() - begun >= 0.1
        relay.refuse()
        with pytest.raises(ConnectionRefusedError):
            open_one()
        with pytest.raises(ConnectionRefusedError):
            open_one(over_tcp=False)
        relay.cut()
        assert received(client) == b""
    relay.normal()
    with open_one() as client:
        client.sendall(ping)
        assert client.recv(100) == pong
