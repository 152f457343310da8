"""The setting `node_map`: where the nodes of a cluster can be reached, if not where they say.

A cluster announces the addresses by which its nodes reach each other. Behind a NAT, a tunnel or
a container's network a client may need others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SYNTAX: Final = "announced=reachable,announced=reachable, as in 10.0.0.1:6379=localhost:7001"
"""The text form. Announced is a node id, host:port or a host; reachable is host:port, a host, or /path of a socket."""

_HOST: Final = r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s\[\]:/,=@]{1,253}))"
_PLACE: Final = re.compile(rf"{_HOST}(?::([0-9]{{1,5}}))?")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""An IPv6 address without brackets, and so without a port."""


def node_map_of(value: object) -> dict[str, str]:
    """Announced → reachable, from a mapping or its text form. ValueError or TypeError name a wrong entry."""
    pairs: list[tuple[object, object]]
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, str):
        entries = [entry.strip() for entry in value.split(",")]
        if wrong := [entry for entry in entries if entry.count("=") != 1]:
            raise ValueError(f"the entry {wrong[0]!r:.80} has not one '='")
        pairs = [
            (announced.strip(), reachable.strip())
            for announced, _, reachable in (e.partition("=") for e in entries)
        ]
    else:
        raise TypeError(f"it is a {type(value).__name__}")
    found: dict[str, str] = {}
    for announced, reachable in pairs:
        entry = f"{announced}={reachable}"
        if not (isinstance(announced, str) and isinstance(reachable, str)):
            raise TypeError(f"the entry {entry!r:.80} is not of two texts")
        try:
            place_of(announced)
            reachable_of(reachable)
        except ValueError as error:
            raise ValueError(f"the entry {entry!r:.80} {error}") from None
        if announced in found:
            raise ValueError(f"{announced!r:.80} is there twice")
        found[announced] = reachable
    return found


def place_of(text: str) -> tuple[str, int | None]:
    """Host and port, None where there is no port. An IPv6 address with a port is in brackets. Raises ValueError."""
    if _IPV6.fullmatch(text):
        return text, None
    match = _PLACE.fullmatch(text)
    if match is None or (match[3] and not 1 <= int(match[3]) <= 65_535):
        raise ValueError(f"has {text!r:.80}, where host:port or a host is wanted")
    return match[1] or match[2], int(match[3]) if match[3] else None


def reachable_of(text: str) -> Path | tuple[str, int | None]:
    """The path of a socket, or host and port as `place_of` gives them. Raises ValueError."""
    if text.startswith("/") and "\0" not in text:
        return Path(text)
    return place_of(text)
