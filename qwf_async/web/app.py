"""The app of the page: its files, and the API by which they read; read-only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route

from ..errors import QwfError
from ..plotting.colours import density_table, phase_table, signed_table
from ..plotting.picture import MIN_PHASE_SHARE
from ..store.store import Store
from .disconnected import CancelledWithClient
from .guarded import JSON, Guarded, error_answer, refusal
from .listed import Listed, described
from .observing import OneAtATime, columns
from .static_files import DIRECTORY, PageFiles
from .values import Values

Endpoint = Callable[[Store, Request], Awaitable[Response]]


def make_app(store: Store, *, token: str, framed: bool = False) -> Guarded:
    """The app that shows what a store has to those who know the token; `framed`, also in the frame of a notebook."""
    observing = OneAtATime()
    endpoints = ENDPOINTS | {
        "wavefunctions": Listed().answer,
        "wavefunctions/{name}/values": Values().read,
        "wavefunctions/{name}/observed": observing.observed,
        "wavefunctions/{name}/marginals": observing.marginals,
    }
    routes = [
        Route("/", _page),
        Mount("/static", PageFiles()),
        *(Route(f"/api/{path}", _with(store, endpoint)) for path, endpoint in endpoints.items()),
        Route("/api/{path:path}", _no_such_path),
    ]
    return Guarded(CancelledWithClient(Starlette(routes=routes)), token=token, framed=framed)


def _with(store: Store, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(store, request)
        except QwfError as error:
            return error_answer(request, error)

    return answer


async def _page(request: Request) -> Response:
    return FileResponse(DIRECTORY / "index.html", media_type="text/html")


async def _no_such_path(request: Request) -> Response:
    return refusal(request, 404, 7, "there is no such path: see 'qwf help view'")


async def _store(store: Store, request: Request) -> Response:
    return JSON({"server": store.address.shown})


async def _colours(store: Store, request: Request) -> Response:
    tables = {"phase": phase_table(), "density": density_table(), "signed": signed_table()}
    return JSON(
        {name: table.tolist() for name, table in tables.items()} | {"min_phase_share": MIN_PHASE_SHARE}
    )


ENDPOINTS: Final[dict[str, Endpoint]] = {
    "store": _store,
    "colours": _colours,
    "wavefunctions/{name}": described,
    "wavefunctions/{name}/columns": columns,
}
"""What is answered under /api."""
