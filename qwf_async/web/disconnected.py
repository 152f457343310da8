"""A request whose client has gone is cancelled, with all that it reads: an overtaken view costs nothing more.

This is the one place that does so. A browser closes the connection of a request that its page aborts.
"""

from __future__ import annotations

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import first_error


class CancelledWithClient:
    """An app whose requests end when their clients do. They have no body: it is not passed on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = anyio.Event()
        come: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive_here() -> Message:
            if come:
                return come.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()
            tasks.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                await self._app(scope, receive_here, send)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as error:
            raise first_error(error) from error
