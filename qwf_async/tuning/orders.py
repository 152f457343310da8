"""What a tuner and its workers say to each other: one JSON object a line, over a pair of sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import anyio

from .. import errors
from ..errors import QwfError
from ..settings import Settings

GO: Final = {"do": "go"}
STOP: Final = {"do": "stop"}


@dataclass(slots=True)
class Lines:
    """One side of the conversation. The other one has ended when it has closed its side, or died."""

    sock: socket.socket
    _rest: bytes = b""

    def __post_init__(self) -> None:
        self.sock.setblocking(False)

    async def next(self) -> dict[str, Any] | None:
        """What the other side says next; None if it has ended."""
        while b"\n" not in self._rest:
            await anyio.wait_readable(self.sock)
            try:
                some = self.sock.recv(65_536)
            except BlockingIOError:
                continue
            except ConnectionError:
                return None
            if not some:
                return None
            self._rest += some
        line, _, self._rest = self._rest.partition(b"\n")
        words: dict[str, Any] = json.loads(line)
        return words

    async def say(self, words: Mapping[str, Any]) -> None:
        """Say something; to one that has ended, nothing: `next` tells that."""
        line = json.dumps(words).encode() + b"\n"
        while line:
            await anyio.wait_writable(self.sock)
            try:
                line = line[self.sock.send(line) :]
            except BlockingIOError:
                continue
            except ConnectionError:
                return


def settings_as_words(settings: Settings) -> dict[str, Any]:
    """Settings as plain values; the password among them, so they go through a pipe only."""
    words = {}
    for one in fields(settings):
        value = getattr(settings, one.name)
        plain = value is None or isinstance(value, bool | int | float | str)
        words[one.name] = value if plain else dict(value) if isinstance(value, Mapping) else str(value)
    return words


def as_words(error: BaseException) -> dict[str, str]:
    """An error of ours as plain values: its message, and the nearest of its classes that has a name in `errors`."""
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return {"error": str(error), "kind": kind.__name__}


def as_error(words: Mapping[str, str]) -> QwfError:
    """The inverse of `as_words`."""
    error: QwfError = getattr(errors, words["kind"])(words["error"])
    return error
