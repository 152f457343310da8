"""The watchdog: samples the server's memory, shuts the gate above the watermark, has expendable data cleaned.

The probe and the cleaner are handed in: what is measured and what is removed is not
decided here. It does not cover the client's own memory, which the stream bounds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

import anyio

from ..catalog.cleaning import Cleaned
from ..errors import DamagedData, OutOfMemory, Refused, ServerUnavailable
from ..events import GateMoved, Hook, MemorySampled, Noted
from ..server.memory import Bound, MemorySample
from ..store.store import Store
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
    _confirmed: bool = False

    @classmethod
    def of(cls, store: Store, gate: Gate, *, timeout: float, evictable: bool, hook: Hook) -> Self:
        """The watchdog of a store's server, with the store's settings."""
        settings = store.settings
        return cls(
            gate=gate,
            probe=store.memory,
            clean=store.clean,
            watermarks=Watermarks(high=settings.high_watermark, low=settings.low_watermark),
            interval=settings.sample_interval,
            timeout=timeout,
            evictable=evictable,
            hook=hook,
        )

    async def run(self) -> None:
        """Watch until cancelled.

        Raises OutOfMemory if the gate had to stay shut for `timeout`, or if the server's
        policy became one that evicts stored data (unless `evictable`).
        """
        looked = anyio.current_time()
        while True:
            try:
                sample = await self.probe()
            except Refused:
                await self._watch_blind()
            except ServerUnavailable:
                # Writers that wait at the gate would not notice; those that are past it have the deadline.
                if self.gate.pressed_for > 0:
                    self._open("the server is away, and its memory not known")
                self.gate.excuse(anyio.current_time() - looked)
            else:
                self._check_policy(sample)
                bound = sample.tightest
                used, limit = (bound.used, bound.limit) if bound else (sample.used, None)
                self.hook(MemorySampled(used=used, limit=limit))
                if bound is not None:
                    await self._heed(bound)
            looked = anyio.current_time()
            await anyio.sleep(self.interval)

    def _check_policy(self, sample: MemorySample) -> None:
        if (sample.policy or "").startswith("allkeys") and not self.evictable:
            raise OutOfMemory(
                f"maxmemory-policy became {sample.policy}, which evicts stored data: set it to noeviction"
            )

    async def _heed(self, bound: Bound) -> None:
        late = self.gate.is_shut and self.gate.pressed_for > self.timeout
        if late and not self._confirmed:  # a writer shut it, each time that the samples had it opened
            self._give_up(f"the server refuses writes, {bound}")
        # When it has been shut for `timeout` it goes on where it could for want of anything left to clean.
        if not self.watermarks.shut(bound.fill, is_shut=self.gate.is_shut, nothing_left=late):
            self._open(str(bound))
            return
        # Told by the sample, and not after cleaning: that may take long, and may have helped.
        if late:
            self._give_up(str(bound))
        if not self.gate.is_shut:
            self.gate.shut()
            self.hook(GateMoved(shut=True, reason=str(bound)))
        self._confirmed = True
        # To free memory that a fork still has copies it; it has an end, and is waited for.
        removed = Cleaned() if bound.copied else await self._cleaned()
        if removed:
            self.hook(Noted(text=f"cleaned {removed.describe()} to free memory"))
        elif not self.watermarks.shut(bound.fill, is_shut=True, nothing_left=True):
            self._open(f"{bound}, nothing left to clean")

    async def _cleaned(self) -> Cleaned:
        """What `clean` removed. If it may not, or meets what is not ours, that is told once."""
        try:
            return await self.clean()
        except ServerUnavailable:
            pass  # the next sample finds out
        except (DamagedData, Refused) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self.hook(Noted(text=f"cannot clean: {error}", warning=True))
        return Cleaned()

    async def _watch_blind(self) -> None:
        self.hook(Noted(text="the server forbids INFO: its memory is not watched", warning=True))
        while True:
            await anyio.sleep(BLIND_PAUSE)
            if self.gate.is_shut:
                if self.gate.pressed_for > self.timeout:
                    self._give_up("the server refuses writes")
                await self._cleaned()
                self._open("trying again")

    def _open(self, reason: str) -> None:
        self._confirmed = False
        if self.gate.is_shut:
            self.gate.open()
            self.hook(GateMoved(shut=False, reason=reason))

    def _give_up(self, why: str) -> None:
        raise OutOfMemory(
            f"no memory on the server for {self.timeout:.0f} s ({why}): free some or raise maxmemory"
        )
