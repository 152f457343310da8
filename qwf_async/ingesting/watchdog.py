"""The watchdog: it samples the server's memory, shuts the gate above the watermark, and cleans what is expendable.

The probe and the cleaner are handed in, so other modules decide what is measured and what is
removed. The client's own memory is not covered here: the stream bounds it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

import anyio

from ..catalog.cleaning import Cleaned
from ..client.node import Node
from ..errors import DamagedData, OutOfMemory, Refused, ServerUnavailable
from ..events import CleanedUp, GateMoved, Hook, MemorySampled, Noted
from ..server.memory import Bound, MemorySample
from ..store.store import Store
from .gate import Gate, Watermarks

BLIND_PAUSE: Final = 1.0
"""Seconds until a gate that an OOM reply has shut is opened again, where the server forbids INFO."""


@dataclass(slots=True, kw_only=True)
class Watchdog:
    """Shuts and opens `gate` by samples of the server's memory, one every `interval` seconds.

    `timeout` bounds the time (s) for which the gate may hold all writers up. `evictable`: the
    server may evict stored data. `where` names the server to the hook, and in messages if it is
    one of `several`.
    """

    gate: Gate
    probe: Callable[[], Awaitable[MemorySample]]
    clean: Callable[[], Awaitable[Cleaned]]
    watermarks: Watermarks
    interval: float
    timeout: float
    evictable: bool
    hook: Hook
    where: str = ""
    several: bool = False
    _last_error: str = ""
    _was_above: bool = False

    @classmethod
    def of(
        cls,
        store: Store,
        gate: Gate,
        *,
        node: Node,
        clean: Callable[[], Awaitable[Cleaned]],
        timeout: float,
        evictable: bool,
        hook: Hook,
    ) -> Self:
        """The watchdog of one of a store's servers, with the store's settings. Of many it looks at each less often."""
        settings = store.settings
        return cls(
            gate=gate,
            probe=store.probe(node).sample,
            clean=clean,
            watermarks=Watermarks(high=settings.high_watermark, low=settings.low_watermark),
            interval=settings.sample_interval * max(1.0, len(store.pool.nodes) / 10),
            timeout=timeout,
            evictable=evictable,
            hook=hook,
            where=node.address.shown,
            several=len(store.pool.nodes) > 1,
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
                # Writers that wait at the gate would not notice, so it opens: past it, their deadline counts.
                if self.gate.blocked_for > 0:
                    self._open("the server is away, and its memory not known")
                self.gate.discount(anyio.current_time() - looked)
            else:
                self._check_policy(sample)
                bound = sample.tightest
                used, limit = (bound.used, bound.limit) if bound else (sample.used, None)
                self.hook(MemorySampled(where=self.where, used=used, limit=limit))
                if bound is not None:
                    await self._act_on(bound)
            looked = anyio.current_time()
            await anyio.sleep(self.interval)

    def _check_policy(self, sample: MemorySample) -> None:
        if (sample.policy or "").startswith("allkeys") and not self.evictable:
            raise OutOfMemory(
                f"{self._named}maxmemory-policy became {sample.policy}, which evicts stored data: set it to noeviction"
            )

    async def _act_on(self, bound: Bound) -> None:
        overdue = self.gate.is_shut and self.gate.blocked_for > self.timeout
        # All samples were below the watermark, but writers shut the gate again: the server had no memory for them.
        if overdue and not self._was_above:
            self._give_up(f"the server refuses writes, {bound}")
        # A gate that is overdue opens below `high` already, as if nothing were left to clean.
        if not self.watermarks.shut(bound.fill, is_shut=self.gate.is_shut, nothing_left=overdue):
            self._open(str(bound))
            return
        # Decided by this sample and not after cleaning, which may take long and may help.
        if overdue:
            self._give_up(str(bound))
        if not self.gate.is_shut:
            self.gate.shut()
            self.hook(GateMoved(where=self.where, shut=True, reason=f"{self._named}{bound}"))
        self._was_above = True
        # While the server has a forked child that saves, freeing memory copies it. So cleaning waits until that ends.
        removed = Cleaned() if bound.copied else await self._cleaned()
        if removed:
            self.hook(Noted(text=f"cleaned {removed.describe()} to free memory"))
        elif not self.watermarks.shut(bound.fill, is_shut=True, nothing_left=True):
            self._open(f"{bound}, nothing left to clean")

    async def _cleaned(self) -> Cleaned:
        """What `clean` removed. If it is refused, or meets what is not ours, the hook is told once."""
        try:
            removed = await self.clean()
        except ServerUnavailable:
            pass  # the next sample tells
        except (DamagedData, Refused) as error:
            if str(error) != self._last_error:
                self._last_error = str(error)
                self.hook(Noted(text=f"cannot clean: {error}", warning=True))
        else:
            if removed:
                self.hook(
                    CleanedUp(
                        scratch_fields=removed.scratch_fields,
                        generations=removed.generations,
                        abandoned_loads=removed.abandoned_loads,
                    )
                )
            return removed
        return Cleaned()

    async def _watch_blind(self) -> None:
        self.hook(
            Noted(text=f"{self._named}the server forbids INFO: its memory is not watched", warning=True)
        )
        while True:
            await anyio.sleep(BLIND_PAUSE)
            if self.gate.is_shut:
                if self.gate.blocked_for > self.timeout:
                    self._give_up("the server refuses writes")
                await self._cleaned()
                self._open("trying again")

    @property
    def _named(self) -> str:
        return f"{self.where}: " if self.several else ""

    def _open(self, reason: str) -> None:
        self._was_above = False
        if self.gate.is_shut:
            self.gate.open()
            self.hook(GateMoved(where=self.where, shut=False, reason=f"{self._named}{reason}"))

    def _give_up(self, why: str) -> None:
        raise OutOfMemory(
            f"{self._named}no memory on the server for {self.timeout:.0f} s ({why}): free some or raise maxmemory"
        )
