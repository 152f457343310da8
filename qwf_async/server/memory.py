"""The memory probe: how full a server is, and against which limit."""

from __future__ import annotations

from dataclasses import dataclass

from .connection import Pool
from .facts import parse_info


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySample:
    """Memory in use and its limit, bytes; the eviction policy, if the server tells it."""

    used: int
    limit: int | None
    policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProbe:
    """Asks one server. The limit is its maxmemory, else `limit`, else `machine`, else its machine's memory.

    `limit` is the user's setting; `machine` what this machine or its cgroup has, given if
    the server runs here. Both in bytes.
    """

    pool: Pool
    limit: int | None
    machine: int | None

    async def sample(self) -> MemorySample:
        """One sample, on one connection, not tried again. Raises Refused if the server forbids INFO."""
        async with self.pool.connection() as connection:
            info = parse_info(await connection.call("INFO", "memory", doing="reading its memory"))

        def number(name: str) -> int | None:
            return int(info.get(name, "0")) or None

        limit = number("maxmemory") or self.limit or self.machine or number("total_system_memory")
        return MemorySample(used=number("used_memory") or 0, limit=limit, policy=info.get("maxmemory_policy"))
