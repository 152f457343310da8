"""The ownership of a load, kept alive while it is filled. Without it no writer writes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import anyio

from ..catalog.load import Load
from ..errors import ServerUnavailable


@dataclass(slots=True, kw_only=True)
class Lease:
    """Ownership of a load for `load.ttl` seconds at a time, counted on this process's monotonic clock."""

    load: Load
    _valid_until: float = field(default_factory=anyio.current_time)
    _doubted: bool = False
    _renewing: anyio.Lock = field(default_factory=anyio.Lock)

    async def run(self) -> None:
        """Renew three times in a ttl, until cancelled.

        Raises LoadTaken or DataLost if the load is not ours any more. A server that is away
        is no error here: the writers notice it, and have the deadline.
        """
        while True:
            pause = min(1.0, self.load.ttl / 3)
            with suppress(ServerUnavailable):
                await self._renew()
                pause = self.load.ttl / 3
            await anyio.sleep(pause)

    async def wait_until_valid(self, *, if_doubted: bool = True) -> None:
        """Return at once while the lease is valid. If this process slept past its end, renew it first.

        `if_doubted`: renew it also if it was doubted.
        """
        if self._must_renew(if_doubted):
            async with self._renewing:
                if self._must_renew(if_doubted):
                    await self._renew()

    def doubt(self) -> None:
        """A connection was lost: before the next batch the lease is renewed, which checks the load and its owner."""
        self._doubted = True

    async def renew(self) -> None:
        """Hold the load for another `load.ttl` seconds. Raises as `run`, and ServerUnavailable."""
        async with self._renewing:
            await self._renew()

    def _must_renew(self, if_doubted: bool) -> bool:
        return (self._doubted and if_doubted) or anyio.current_time() >= self._valid_until

    async def _renew(self) -> None:
        asked = anyio.current_time()
        await self.load.renew()
        self._doubted = False
        self._valid_until = asked + self.load.ttl
