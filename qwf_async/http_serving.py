"""HTTP as the page and the metrics have it: a socket that is bound, and an app that is served on it by uvicorn.

The server is a task of ours and has no handlers of signals. Whoever asks under a name that is not
this server's is refused: a page of another site, whose name was made to point here, reads nothing
(DNS rebinding; source: OWASP, "DNS Rebinding").
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, MutableMapping
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final

import anyio

from .errors import UsageError
from .optional import library

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
"""Names under which this machine is asked from itself, as a Host header has them."""

BACKLOG: Final = 256
"""Connections that may wait to be accepted."""

LAST_ANSWERS: Final = 1
"""Seconds that answers under way have when the server ends."""


def bind(host: str, port: int, *, tries: int = 1) -> socket.socket:
    """A socket that listens at a host (a name or an IP address) and a port; 0 is any free port.

    With `tries` the ports that follow are tried too, if one is in use. Raises UsageError if none
    can be had, or if the host is not this machine's.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot listen at {host}: no such address ({error})") from error
    for number in range(port, port + tries):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # elsewhere it would let another process take a port in use
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, number))
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE and number < port + tries - 1:
                continue
            raise UsageError(_why_not(host, number, error)) from error
        return sock
    raise AssertionError


def _why_not(host: str, port: int, error: OSError) -> str:
    where = address_of(host, port).removeprefix("http://")
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen at {where}: the port is in use; choose another one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"cannot listen at {where}: no right to; choose a port of 1024 or above"
    return f"cannot listen at {where}: {error.strerror}"


def address_of(host: str, port: int) -> str:
    """The address of a host and a port, as a browser takes it."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@asynccontextmanager
async def serving(app: App, sock: socket.socket, *, extra: str) -> AsyncIterator[None]:
    """Serve an ASGI app on a socket until the block ends; then its connections are closed, and the socket.

    Raises UsageError if uvicorn, of the `extra`, is not installed.
    """
    uvicorn = library("uvicorn", extra=extra, what="serving HTTP")
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="error",  # a client that does not speak HTTP says nothing on our terminal
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_ANSWERS,
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # they are the command's

    async def serve() -> None:
        with anyio.CancelScope(shield=True):  # a server that is cancelled leaves its connections open
            await server.serve([sock])

    with sock:  # open until the server has ended: it takes the socket from the loop
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            try:
                yield
            finally:
                server.should_exit = True


def known_hosts(host: str, port: int) -> Collection[str]:
    """The Host headers of a server that listens at a host and a port, in small letters.

    Of one that listens beyond this machine these are also its names; IP addresses are always known.
    A browser leaves port 80 out.
    """
    names = {*LOOPBACK, f"[{host}]" if ":" in host else host}
    if not is_loopback(host):
        names |= {socket.gethostname(), socket.getfqdn()}
    return {f"{name}{end}".lower() for name in names for end in (f":{port}", *[""] * (port == 80))}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class KnownHosts:
    """An app that answers only those who ask under one of these Host headers, or under an IP address, if `anywhere`.

    An IP address in a Host header was typed as it is: no name was made to point here.
    """

    def __init__(self, app: App, hosts: Collection[str], *, anywhere: bool = False) -> None:
        self._app = app
        self._hosts = hosts
        self._anywhere = anywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = [value for name, value in scope.get("headers", ()) if name == b"host"]
        if len(given) != 1 or not self._knows(given[0].decode("latin-1").lower()):
            text = b"this server is not known under that name: use the address that was printed\n"
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": text})
            return
        await self._app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        if host in self._hosts:
            return True
        if not self._anywhere:
            return False
        name = host.rpartition(":")[0] if host[-1:] != "]" and ":" in host else host
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True
