"""The memory gate: writers pass it before each batch; the watchdog shuts and opens it."""

from __future__ import annotations

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
    """A gate, open at first, that knows for how long the lack of memory has held all writers up."""

    def __init__(self) -> None:
        self._open = anyio.Event()
        self._open.set()
        self._pressed_since: float | None = None

    @property
    def is_shut(self) -> bool:
        return not self._open.is_set()

    def shut(self) -> None:
        if not self.is_shut:
            self._open = anyio.Event()

    def open(self) -> None:
        self._open.set()

    def relieved(self) -> None:
        """A batch got through."""
        if not self.is_shut:
            self._pressed_since = None

    def excuse(self, seconds: float) -> None:
        """Do not count these seconds: the writers waited for another reason than memory."""
        if self._pressed_since is not None:
            self._pressed_since = min(self._pressed_since + seconds, anyio.current_time())

    @property
    def pressed_for(self) -> float:
        """Seconds since a writer began to wait at the gate, if no batch got through since; else 0.

        While no writer wants to pass, because the source is slow, a shut gate does not count.
        """
        return 0.0 if self._pressed_since is None else anyio.current_time() - self._pressed_since

    async def passed(self) -> None:
        """Wait until the gate is open."""
        while self.is_shut:
            if self._pressed_since is None:
                self._pressed_since = anyio.current_time()
            await self._open.wait()
