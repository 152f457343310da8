"""The page of a store, served at an address with a token, for as long as a block runs."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from anyio import to_thread

from ..http_serving import KnownHosts, address_of, bind, is_loopback, known_hosts, serving
from ..optional import library
from ..settings import Settings
from ..store.connecting import connect

PORT: Final = 8765
PORTS: Final = 100
"""Ports that are tried, from PORT on, where none is given."""

DEADLINE: Final = 2.0
"""Seconds for which a request tries again while the server is away: the page says so, and asks again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed:
    """Where the page is: what a browser asks, and the token that it must know."""

    host: str
    port: int
    token: str

    def url(self, name: str | None = None, *, at: str | None = None) -> str:
        """The address of the page, of a wavefunction if it is named; `at`: under which it is reached instead."""
        view = "" if name is None else f"#name={quote(name)}"
        return f"{address_of(self.host, self.port) if at is None else at}/?token={self.token}{view}"


@asynccontextmanager
async def viewing(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    framed: bool = False,
    proxied: bool = False,
) -> AsyncIterator[Viewed]:
    """Serve the page of the store that the settings name, until the block ends.

    Without a port PORT is taken, or else the next that is free; 0 is any free one. `framed`: a
    notebook shows the page; `proxied`: by its own proxy, whose Host header is any, so that the token
    alone decides. Raises UsageError if the port cannot be had, or starlette or uvicorn
    is not installed; else as `connect`.
    """
    for needed in ("starlette", "uvicorn"):
        library(needed, extra="web", what="the page")
    from .app import make_app

    async with connect(settings=replace(settings, deadline=min(settings.deadline, DEADLINE))) as store:
        sock = await to_thread.run_sync(
            lambda: bind(host, PORT, tries=PORTS) if port is None else bind(host, port)
        )
        with sock:
            number = sock.getsockname()[1]
            token = secrets.token_urlsafe(24)
            hosts = await to_thread.run_sync(known_hosts, host, number)
            app = make_app(store, token=token, framed=framed)
            known = KnownHosts(app, hosts, anywhere=not is_loopback(host))
            async with serving(app if proxied else known, sock, extra="web"):
                yield Viewed(host=await to_thread.run_sync(_reached_at, host), port=number, token=token)


def _reached_at(host: str) -> str:
    """Under what others reach what listens at a host: of all addresses this machine's towards the network."""
    if host not in ("0.0.0.0", "::", ""):  # noqa: S104
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
        try:
            towards.connect(("192.0.2.1", 9))  # nothing is sent; RFC 5737: an address for documentation
        except OSError:  # no network
            return socket.gethostname()
        return str(towards.getsockname()[0])
