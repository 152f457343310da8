"""`/metrics` and `/health` at an address, while a command runs."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import to_thread

from ..errors import UsageError
from ..http_serving import KnownHosts, address_of, bind, is_loopback, known_hosts, serving
from ..optional import library
from ..wording import option, quoted
from .metrics import Metrics
from .text import exposition

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def place_of(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9464`, `[::1]:9464` or `:9464`, which is this machine alone.

    Raises UsageError if it is neither.
    """
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]*)):([0-9]{1,5})", text, re.ASCII)
    if found is None or int(found[3]) > 65535:
        raise UsageError(f"{quoted(text)} is no place to listen at: write {option('listen')} 127.0.0.1:9464")
    return found[1] or found[2] or "127.0.0.1", int(found[3])


def listening_at(text: str) -> socket.socket:
    """A socket that listens at a place. Raises UsageError if there is none, or a library is missing. Blocking."""
    host, port = place_of(text)
    for needed in ("starlette", "uvicorn"):
        library(needed, extra="metrics", what="serving metrics")
    return bind(host, port)


@asynccontextmanager
async def serving_metrics(metrics: Metrics, sock: socket.socket, place: str) -> AsyncIterator[str]:
    """Serve the metrics on a socket that listens at a place, until the block ends. The result is their address."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.responses import Response as Answer
    from starlette.routing import Route

    async def shown(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        text, content_type = await to_thread.run_sync(exposition, metrics, accept)
        return Answer(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def health(request: Request) -> Response:
        problem = metrics.problem
        if problem is None:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "failing", "message": problem}, 503)

    host, _ = place_of(place)
    number = sock.getsockname()[1]
    hosts = await to_thread.run_sync(known_hosts, host, number)
    app = KnownHosts(
        Starlette(routes=[Route("/metrics", shown), Route("/health", health)]),
        hosts,
        anywhere=not is_loopback(host),
    )
    async with serving(app, sock, extra="metrics"):
        yield f"{address_of(host, number)}/metrics"
