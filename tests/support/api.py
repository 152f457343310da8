"""The API of a page's server, asked over HTTP by the standard library."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, Protocol
from urllib.parse import urlencode

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from qwf_async.settings import Settings
from qwf_async.web.viewing import Viewed, viewing
from tests.conftest import PATIENCE


class HasAddress(Protocol):
    """A server, or what leads to one."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came: the headers have small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def values(self) -> NDArray[np.complex64]:
        """The values, in the shape that the headers say."""
        shape = self._shape
        return np.frombuffer(self.body, "<c8", int(np.prod(shape))).reshape(shape)

    @property
    def stored(self) -> NDArray[np.bool_]:
        """Which of the values of a load are stored."""
        shape = self._shape
        return np.frombuffer(self.body, np.bool_, offset=8 * int(np.prod(shape))).reshape(shape)

    @property
    def _shape(self) -> list[int]:
        return [int(n) for n in self.headers["x-qwf-shape"].split(",") if n]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Where it is."""

    at: Viewed

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None, **query: object) -> Answer:
        """The answer to GET /api/path, over a connection of its own."""
        address = f"/api/{path}?{urlencode(query)}"
        return await to_thread.run_sync(self._get, address, dict(headers or {}))

    def _get(self, address: str, headers: dict[str, str]) -> Answer:
        connection = HTTPConnection(self.at.host, self.at.port, timeout=PATIENCE)
        try:
            connection.request("GET", address, headers={"Authorization": f"Bearer {self.at.token}"} | headers)
            reply = connection.getresponse()
            named = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(status=reply.status, headers=named, body=reply.read())
        finally:
            connection.close()


@asynccontextmanager
async def api_of(server: HasAddress, **settings: Any) -> AsyncIterator[Api]:
    """The API of what is on this server."""
    async with viewing(Settings(url=server.url, **settings), port=0) as at:
        yield Api(at=at)
