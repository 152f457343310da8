"""Samples of one server, again and again: what it says, and what came since the last time.

A sample is one exchange over one connection. The settings are read with every tenth alone, and so is
the slow log of a server that has refused it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..client.connection import now
from ..client.every_node import slot_counts
from ..client.node import Node
from ..client.pool import Pool
from ..events import Recent, ServerFacts
from .facts import ask
from .slow_log import slow_commands
from .told import facts_of

SETTINGS_EVERY: Final = 10
"""Samples of which one reads the settings."""


class Sampler:
    """Samples a server; `sample` is called by one task at a time."""

    def __init__(self, pool: Pool, node: Node) -> None:
        self._pool = pool
        self._node = node
        self._count = 0
        self._run = ""
        self._settings: dict[str, str] | None = None
        self._forbidden: frozenset[str] = frozenset()
        self._last: tuple[float, ServerFacts] | None = None
        self._last_slow: int | None = None

    async def sample(self) -> ServerFacts:
        """The facts of this moment, with `recent` and `slow_log`. Raises ServerUnavailable if the server is away."""
        whole = self._count % SETTINGS_EVERY == 0
        asks_log = whole or "SLOWLOG" not in self._forbidden
        told = await ask(self._pool, self._node, settings=whole, slow_log=asks_log)
        self._count += 1
        self._forbidden -= {"INFO", *(["CONFIG"] if whole else []), *(["SLOWLOG"] if asks_log else [])}
        self._forbidden |= {*told.forbidden}
        if whole:
            self._settings = told.settings
        info = told.info or {}
        if (
            run := info.get("run_id", "")
        ) != self._run:  # it was restarted: its settings are read with the next one
            self._run, self._last, self._last_slow = run, None, None
            self._count = 1 if whole else 0
        facts = facts_of(self._node.address.shown, info, self._settings, tuple(sorted(self._forbidden)))
        log = None if told.slow_log is None else slow_commands(told.slow_log, self._last_slow)
        if log:
            self._last_slow = log[0].number
        time = now()
        facts = replace(
            facts,
            slots=slot_counts(self._pool).get(self._node),
            slow_log=log,
            # They are numbered from 0, also after SLOWLOG RESET.
            slow_commands=None if log is None else 0 if self._last_slow is None else self._last_slow + 1,
            recent=since(self._last[1], facts, time - self._last[0]) if self._last else None,
        )
        self._last = time, facts
        return facts


def since(before: ServerFacts, after: ServerFacts, seconds: float) -> Recent:
    """What a server counted between two samples, `seconds` apart. Pure."""

    def more(name: str) -> int | None:
        first, last = getattr(before, name), getattr(after, name)
        return None if first is None or last is None else max(0, last - first)

    return Recent(
        seconds=seconds,
        hits=more("hits"),
        misses=more("misses"),
        evicted=more("evicted"),
        expired=more("expired"),
        rejected=more("rejected"),
    )
