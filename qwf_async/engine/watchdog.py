"""The watchdog: samples the server's memory, shuts the gate above the watermark, has expendable data cleaned.

The probe and the cleaner are handed in: what is measured and what is removed is not
decided here. It does not cover the client's own memory, which the stream bounds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio

from ..cleaning import Cleaned
from ..errors import DamagedData, OutOfMemory, Refused, ServerUnavailable
from ..server.memory import MemorySample
from .events import GateMoved, Hook, MemorySampled, Noted
from .gate import Gate, Watermarks

BLIND_PAUSE: Final = 1.0
"""Seconds until a gate shut by an OOM reply is tried again where the server forbids INFO."""


@dataclass(slots=True, kw_only=True)
class Watchdog:
    """`timeout` (s) bounds how long the gate may keep all writers waiting; `interval` (s) lies between samples."""

    gate: Gate
    probe: Callable[[], Awaitable[MemorySample]]
    clean: Callable[[], Awaitable[Cleaned]]
    watermarks: Watermarks
    interval: float
    timeout: float
    evictable: bool
    hook: Hook
    _trouble: str = ""

    async def run(self) -> None:
        """Watch until cancelled.

        Raises OutOfMemory if the gate had to stay shut for `timeout`, or if the server's
        policy became one that evicts stored data (unless `evictable`).
        """
        while True:
            try:
                sample = await self.probe()
            except Refused:
                await self._watch_blind()
            except ServerUnavailable:
                pass  # the writers notice for themselves, and have the deadline
            else:
                self.hook(MemorySampled(used=sample.used, limit=sample.limit))
                await self._heed(sample)
                self._give_up_if_late(f"{sample.used:,} of {sample.limit or 0:,} bytes in use")
            await anyio.sleep(self.interval)

    async def _cleaned(self) -> Cleaned:
        """What `clean` removed. If it may not, or meets what is not ours, that is told once."""
        try:
            return await self.clean()
        except ServerUnavailable:
            pass  # as above
        except (DamagedData, Refused) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self.hook(Noted(text=f"cannot clean: {error}", warning=True))
        return Cleaned()

    async def _heed(self, sample: MemorySample) -> None:
        if (sample.policy or "").startswith("allkeys") and not self.evictable:
            raise OutOfMemory(
                f"maxmemory-policy became {sample.policy}, which evicts stored data: set it to noeviction"
            )
        if sample.limit is None:
            return
        fill = sample.used / sample.limit
        if not self.watermarks.shut(fill, is_shut=self.gate.is_shut, nothing_left=False):
            self._open(f"{fill:.0%} of the limit in use")
            return
        if not self.gate.is_shut:
            self.gate.shut()
            self.hook(GateMoved(shut=True, reason=f"{fill:.0%} of {sample.limit:,} bytes in use"))
        removed = await self._cleaned()
        if removed:
            self.hook(Noted(text=f"cleaned {removed.describe()} to free memory"))
        elif not self.watermarks.shut(fill, is_shut=True, nothing_left=True):
            self._open(f"{fill:.0%} of the limit in use, nothing left to clean")

    async def _watch_blind(self) -> None:
        self.hook(Noted(text="the server forbids INFO: its memory is not watched", warning=True))
        while True:
            await anyio.sleep(BLIND_PAUSE)
            self._give_up_if_late("the server refuses writes")
            if self.gate.is_shut:
                await self._cleaned()
                self._open("trying again")

    def _open(self, reason: str) -> None:
        if self.gate.is_shut:
            self.gate.open()
            self.hook(GateMoved(shut=False, reason=reason))

    def _give_up_if_late(self, why: str) -> None:
        if self.gate.pressed_for > self.timeout:
            raise OutOfMemory(
                f"no memory on the server for {self.timeout:.0f} s ({why}): free some or raise maxmemory"
            )
