"""Commands as they are sent to the nodes of a cluster: which key a command has, and requests told apart again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Command = Sequence[str | bytes | int | float]

ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"
"""The request before each one that goes to a node to which its slot is on its way."""

_KEY_AT: Final = {"EVAL": 3, "EVAL_RO": 3, "OBJECT": 2, "MEMORY": 2}
"""Which word of a command is its first key, where it is not the one after the name."""


def key_of(command: Command) -> str | bytes:
    """The first key of a command of ours."""
    key = command[_KEY_AT.get(str(command[0]), 1)]
    return key if isinstance(key, bytes) else str(key)


def split_requests(buffers: Sequence[bytes | bytearray | memoryview]) -> list[bytes]:
    """The encoded requests that buffers hold, one by one. For the few that are to be sent to another node."""
    data, start, requests = b"".join(buffers), 0, []
    while start < len(data):
        end = data.index(b"\r\n", start)
        place = end + 2
        for _ in range(int(data[start + 1 : end])):
            end = data.index(b"\r\n", place)
            place = end + 2 + int(data[place + 1 : end]) + 2
        requests.append(data[start:place])
        start = place
    return requests


def after_asking(requests: Sequence[bytes]) -> list[bytes]:
    """Encoded requests, each after ASKING, which has a reply of its own."""
    return [part for request in requests for part in (ASKING, request)]
