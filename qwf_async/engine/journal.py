"""Writes down which chunks the server has applied, many at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import anyio

from ..load import Load
from ..manifest import JournalEntry
from ..wire.batch import Batch

MOST_WAITING: Final = 256
"""Chunks that may wait for their entry; beyond that, writers wait."""


@dataclass(slots=True, kw_only=True)
class JournalKeeper:
    """Collects acks and records them as fast as the server takes them. `entries` is what it holds by now."""

    load: Load
    entries: dict[int, JournalEntry]
    _waiting: dict[int, JournalEntry] = field(default_factory=dict)
    _changed: anyio.Condition = field(default_factory=anyio.Condition)

    async def ack(self, batch: Batch) -> None:
        """Note an applied chunk for recording."""
        async with self._changed:
            while len(self._waiting) >= MOST_WAITING:
                await self._changed.wait()
            self._waiting[batch.chunk] = JournalEntry(digest=batch.digest, weight=batch.weight)
            self._changed.notify_all()

    async def run(self) -> None:
        """Record until cancelled."""
        while True:
            async with self._changed:
                while not self._waiting:
                    await self._changed.wait()
            await self.flush()

    async def flush(self) -> None:
        """Record what is waiting. An entry stays waiting until the server has it."""
        some: Mapping[int, JournalEntry] = dict(self._waiting)
        if not some:
            return
        await self.load.record(some)
        self.entries.update(some)
        async with self._changed:
            for number in some:
                self._waiting.pop(number, None)
            self._changed.notify_all()
