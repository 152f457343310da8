"""What a tuner and its workers say to each other: one JSON object a line, over standard input and output."""

from __future__ import annotations

import json
import os
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
    """The lines that arrive at a descriptor. `next` returns None when the other side has closed it, or died."""

    descriptor: int
    _rest: bytes = b""

    async def next(self) -> dict[str, Any] | None:
        while b"\n" not in self._rest:
            await anyio.wait_readable(self.descriptor)
            some = os.read(self.descriptor, 65_536)
            if not some:
                return None
            self._rest += some
        line, _, self._rest = self._rest.partition(b"\n")
        words: dict[str, Any] = json.loads(line)
        return words


def as_line(words: Mapping[str, Any]) -> bytes:
    return json.dumps(words).encode() + b"\n"


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
