"""The memory probe: how full a server is, and against which limits.

Two limits are heeded, each with what counts against it:

- The server's own, `maxmemory`: `used_memory` less `mem_not_counted_for_evict` (the buffers
  of replicas that lag behind, and of the append-only file), which is what the server itself
  compares before it refuses a write (`getMaxmemoryState` in its evict.c).
- The machine's: `used_memory`, those buffers included, and `current_cow_size`, the memory
  that a process forked for BGSAVE or for a rewrite of the append-only file has by now beside
  the server's, because pages that either writes to are copied. A limit that the user has set
  counts the same.

Not covered: what else runs on the machine, what the allocator wastes, and the memory of a
fork on servers that do not tell it (before Redis 7.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..client.pool import Pool
from ..client.reply import is_text
from .facts import parse_info, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A limit, and what counts against it, both in bytes. `copied` is the part of `used` that a fork has."""

    what: str
    used: int
    limit: int
    copied: int = 0

    @property
    def fill(self) -> float:
        return self.used / self.limit

    def __str__(self) -> str:
        copied = f", {self.copied:,} of them by a fork for saving" if self.copied else ""
        return f"{self.fill:.0%} of {self.what} in use: {self.used:,} of {self.limit:,} bytes{copied}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySample:
    """Memory in use, bytes; the limits it is held against; the eviction policy, if the server tells it."""

    used: int
    bounds: tuple[Bound, ...] = ()
    policy: str | None = None

    @property
    def tightest(self) -> Bound | None:
        """The bound that is filled most; None if no limit is known."""
        return max(self.bounds, key=lambda bound: bound.fill, default=None)

    def room(self, share: float) -> float | None:
        """Bytes that can be added until `share` of a limit is in use, negative if it is; None without limits."""
        return min((share * bound.limit - bound.used for bound in self.bounds), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProbe:
    """Asks one server.

    `limit` is the user's setting, which counts where the server has no maxmemory; `machine`
    what this machine or its cgroup has, given if the server runs here: otherwise the server
    tells what its machine has. Both in bytes.
    """

    pool: Pool
    limit: int | None
    machine: int | None

    async def sample(self) -> MemorySample:
        """One sample, on one connection, not tried again. Raises Refused if the server forbids INFO."""
        async with self.pool.connection() as connection:
            # Of all sections: servers before 7.0 do not take the names of several, and it costs 30 µs more.
            info = parse_info(await connection.call("INFO", expect=is_text, doing="reading its memory"))
        return sample_of(info, limit=self.limit, machine=self.machine)


def sample_of(info: Mapping[str, str], *, limit: int | None, machine: int | None) -> MemorySample:
    """The sample that a reply to INFO makes. What it lacks counts as 0, or as no limit. Pure."""

    def number(name: str) -> int:
        return whole_number(info.get(name, "")) or 0

    used, copied = number("used_memory"), number("current_cow_size")
    counted = max(0, used - number("mem_not_counted_for_evict"))
    maxmemory = number("maxmemory")
    bounds = [Bound(what="maxmemory", used=counted, limit=maxmemory)] if maxmemory else []
    theirs = {"the machine's memory": machine or number("total_system_memory")}
    if limit and not maxmemory:
        theirs["the memory limit"] = limit
    bounds += [
        Bound(what=what, used=used + copied, limit=most, copied=copied)
        for what, most in theirs.items()
        if most
    ]
    return MemorySample(
        used=used + copied,
        bounds=tuple(bounds),
        policy=info.get("maxmemory_policy"),
    )
