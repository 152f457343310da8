"""What an ingest tells those who watch it: frozen records, handed to hooks.

The progress bar, the log and the JSON report of the command line are hooks. A hook is
called on the event loop and must return at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .server.facts import ServerFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Points that are stored by now, or safe in the spool, of how many; and the bytes that were encoded for them."""

    points: int
    total: int
    bytes_sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """A batch will be sent again, after the `attempt`-th failure."""

    chunk: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """So many chunks wait in the spool, in so many bytes, and whether they are being replayed."""

    chunks: int
    nbytes: int
    replaying: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySampled:
    """The server's memory in bytes, and the limit it is held against."""

    used: int
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMoved:
    """The memory gate shut or opened."""

    shut: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something the user should know, in one line."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSampled:
    """A look at the whole server."""

    facts: ServerFacts


Event = Progress | Retried | Spooled | MemorySampled | GateMoved | Noted | ServerSampled
Hook = Callable[[Event], None]
