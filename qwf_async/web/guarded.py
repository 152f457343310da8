"""Who may ask, and what a browser may do with the answer: token, methods, and headers of every answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import InvalidInput, QwfError, UnknownName

NOTEBOOKS: Final = "'self' http://localhost:* http://127.0.0.1:* https://localhost:* vscode-webview:"
"""Where a notebook's page comes from, which shows ours in a frame; by a proxy of its own from the same place."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)
"""What the page may load, by its Content-Security-Policy: what comes from here, and nothing inline."""

STATUS_OF_CODE: Final[Mapping[int, int]] = {2: 400, 3: 503, 7: 400, 8: 409}
"""The HTTP status of an exit code; 500 for others."""


class TooMany(InvalidInput):
    """More points were asked for than one answer has."""


class Guarded:
    """An app that only those with the token may ask, by GET or HEAD.

    What lies under /static is public code and needs no token.
    """

    def __init__(self, app: ASGIApp, *, token: str, framed: bool) -> None:
        self._app = app
        self._token = token
        ancestors = NOTEBOOKS if framed else "'none'"
        self._headers = {
            "Content-Security-Policy": POLICY.format(ancestors=ancestors),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        public = scope["path"].startswith("/static/")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache" if public else "no-store")
            await send(message)

        request = Request(scope)
        app: ASGIApp = self._app
        if request.method not in ("GET", "HEAD"):
            app = refusal(request, 405, 2, "only GET and HEAD: nothing is changed here")
        elif not public and not self._may(request):
            app = refusal(request, 403, 8, "the token is missing or wrong: use the address that was printed")
        await app(scope, receive, answer)

    def _may(self, request: Request) -> bool:
        given = request.query_params.get("token", "")
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            given = bearer
        return secrets.compare_digest(given.encode(), self._token.encode())


def refusal(request: Request, status: int, code: int, message: str) -> Response:
    """An answer with an error: JSON under /api, else a line of text."""
    if request.url.path.startswith("/api/"):
        return JSON({"error": {"code": code, "message": message}}, status)
    return PlainTextResponse(message + "\n", status)


def error_answer(request: Request, error: QwfError) -> Response:
    """The answer to a request that failed with an error of ours."""
    status = STATUS_OF_CODE.get(error.exit_code, 500)
    if isinstance(error, UnknownName):
        status = 404
    if isinstance(error, TooMany):
        status = 413
    return refusal(request, status, error.exit_code, str(error))


class JSON(Response):
    """An answer in JSON."""

    media_type = "application/json"

    def __init__(
        self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(json.dumps(finite(content), allow_nan=False).encode(), status_code, headers)


def finite(content: Any) -> Any:
    """The same with null for numbers that are not finite, which JSON does not have."""
    if isinstance(content, float) and content - content != 0:
        return None
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return content
