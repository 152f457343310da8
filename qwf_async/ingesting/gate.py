"""The memory gate: writers pass it before each batch; the watchdog shuts and opens it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermarks:
    """Fractions of the memory limit: the gate shuts at `high` and opens below `low`. Their defaults are settings."""

    high: float
    low: float

    def shut(self, fill: float, *, is_shut: bool, nothing_left: bool) -> bool:
        """Whether the gate should be shut at this fill (used / limit).

        A shut gate opens below `low`, or below `high` once nothing is left to clean.
        """
        if not is_shut or nothing_left:
            return fill >= self.high
        return fill >= self.low


class Gate:
    """A gate, open at first. It knows for how long no writer got a batch through for lack of memory.

    `changed` is called after each time that it was shut or opened. `where` is the address of the server.
    """

    def __init__(self, changed: Callable[[], object] = lambda: None, where: str = "") -> None:
        self._changed = changed
        self.where = where
        self._open = anyio.Event()
        self._open.set()
        self._blocked_since: float | None = None

    @property
    def is_shut(self) -> bool:
        return not self._open.is_set()

    def shut(self) -> None:
        if not self.is_shut:
            self._open = anyio.Event()
            self._changed()

    def open(self) -> None:
        if self.is_shut:
            self._open.set()
            self._changed()

    def note_progress(self) -> None:
        """A batch got through."""
        if not self.is_shut:
            self._blocked_since = None

    def discount(self, seconds: float) -> None:
        """Do not count these seconds: the writers waited for another reason than memory."""
        if self._blocked_since is not None:
            self._blocked_since = min(self._blocked_since + seconds, anyio.current_time())

    @property
    def blocked_for(self) -> float:
        """Seconds since a writer began to wait at the gate, if no batch got through since; else 0.

        While no writer wants to pass, because the source is slow, a shut gate does not count.
        """
        return 0.0 if self._blocked_since is None else anyio.current_time() - self._blocked_since

    def want(self) -> None:
        """Somebody would pass, and is held up if the gate is shut."""
        if self.is_shut and self._blocked_since is None:
            self._blocked_since = anyio.current_time()

    async def wait_until_open(self) -> None:
        """Wait until the gate is open."""
        while self.is_shut:
            self.want()
            await self._open.wait()
