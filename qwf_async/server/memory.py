"""The memory probe: how full a server is, and against which limits.

There are two limits, and different memory counts against each:

- The server's own, `maxmemory`. Against it counts `used_memory` less `mem_not_counted_for_evict`
  (the buffers of replicas that lag behind, and of the append-only file). The server itself
  compares the same before it refuses a write (`getMaxmemoryState` in its evict.c).
- The machine's, or a limit that the user has set. Against it counts `used_memory`, those
  buffers included, and `current_cow_size`. That is what a process forked for BGSAVE, or for a
  rewrite of the append-only file, takes besides: pages that either process writes to are copied.

Not covered are other programs on the machine, what the allocator wastes, and the memory of a
fork on servers that do not tell it (before Redis 7.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..client.node import Node
from ..client.reply import is_text
from ..human import share, size
from .info import parse_info, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A limit named `what`, and the memory that counts against it, both in bytes.

    `copied` is the part of `used` that a fork has.
    """

    what: str
    used: int
    limit: int
    copied: int = 0

    @property
    def fill(self) -> float:
        return self.used / self.limit

    def __str__(self) -> str:
        copied = f", {size(self.copied)} of it by a fork for saving" if self.copied else ""
        return f"{share(self.fill)} of {self.what} in use: {size(self.used)} of {size(self.limit)}{copied}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySample:
    """Memory in use (bytes), its bounds, and the eviction policy if the server tells it."""

    used: int
    bounds: tuple[Bound, ...] = ()
    policy: str | None = None

    @property
    def tightest(self) -> Bound | None:
        """The bound that is fullest; None if no limit is known."""
        return max(self.bounds, key=lambda bound: bound.fill, default=None)

    def room(self, share: float) -> float | None:
        """Bytes that can be added until `share` of a limit is in use, negative if it is; None without limits."""
        return min((share * bound.limit - bound.used for bound in self.bounds), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProbe:
    """Samples the memory of one server.

    `limit` (bytes) is the user's setting, which counts where the server has no maxmemory.
    `machine` (bytes) is the memory of this machine or its cgroup if the server runs here; None
    elsewhere, where the server says what its machine has. So many servers are `sharing` it: each
    has an equal part.
    """

    node: Node
    limit: int | None
    machine: int | None
    sharing: int = 1

    async def sample(self) -> MemorySample:
        """One sample, over one connection, not tried again. Raises Refused if the server forbids INFO."""
        async with self.node.connection() as connection:
            # All sections, which takes 30 µs more: servers before 7.0 do not accept the names of several.
            info = parse_info(await connection.call("INFO", expect=is_text, doing="reading its memory"))
        return sample_of(info, limit=self.limit, machine=self.machine, sharing=self.sharing)


def sample_of(
    info: Mapping[str, str], *, limit: int | None, machine: int | None, sharing: int = 1
) -> MemorySample:
    """The sample that a reply to INFO gives. A missing number counts as 0, and a missing limit as none. Pure."""

    def number(name: str) -> int:
        return whole_number(info.get(name, "")) or 0

    used, copied = number("used_memory"), number("current_cow_size")
    counted = max(0, used - number("mem_not_counted_for_evict"))
    maxmemory = number("maxmemory")
    bounds = [Bound(what="maxmemory", used=counted, limit=maxmemory)] if maxmemory else []
    part = f" (1/{sharing} of it)" if sharing > 1 else ""
    limits = {f"the machine's memory{part}": (machine or number("total_system_memory")) // sharing}
    if limit and not maxmemory:
        limits["the memory limit"] = limit
    bounds += [
        Bound(what=what, used=used + copied, limit=maximum, copied=copied)
        for what, maximum in limits.items()
        if maximum
    ]
    return MemorySample(
        used=used + copied,
        bounds=tuple(bounds),
        policy=info.get("maxmemory_policy"),
    )
