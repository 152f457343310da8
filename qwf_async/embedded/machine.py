"""The memory of this machine, or of the control groups that this process is confined to.

The limit of a container is not in /proc/meminfo. The smallest limit of the control groups counts,
see `host.control_groups`.
Sources: proc(5), the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
Not covered: address space limits (ulimit -v), and other systems' containers.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from ..errors import UsageError
from ..host.control_groups import control_groups, kernel_text

FILES: Final = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
"""By the version of control groups: the files of a group's limit and of what it uses. Last comes the line
of memory.stat with the bytes that the kernel can take back at once, children included."""


def memory_bytes(root: Path = Path("/")) -> int:
    """The memory that this process may count on at most, in bytes: the machine's or the smallest limit.

    `root` is where the file system that holds /proc and /sys begins. Raises UsageError if
    the system does not say how much memory it has.
    """
    return min([_total(root), *(limit for limit, _ in _limits(root))])


def available_bytes(root: Path = Path("/")) -> int:
    """The memory that is available now without swapping, in bytes, at least 0.

    Page cache that can be dropped counts as available, on the machine as in a control
    group. Where the system has no such figure, this is `memory_bytes`.
    """
    free = meminfo(kernel_text(root / "proc/meminfo")).get("MemAvailable", _total(root))
    return max(0, min([free, *(limit - used for limit, used in _limits(root))]))


def meminfo(text: str) -> dict[str, int]:
    """Name → bytes of the entries of /proc/meminfo that are amounts of memory."""
    amounts = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(amount) * 1024 for name, amount in amounts}


def _limits(root: Path) -> list[tuple[int, int]]:
    """(limit, memory in use) of every group that has a limit, in bytes, without cache that can be dropped."""
    limits: list[tuple[int, int]] = []
    for group in control_groups("memory", root):
        limit_file, usage_file, cache = FILES[group.version]
        limit = group.read(limit_file).strip()
        if limit.isdecimal():
            used = int(group.read(usage_file).strip() or 0)
            statistics = dict(re.findall(r"^(\w+) (\d+)$", group.read("memory.stat"), re.MULTILINE))
            limits.append((int(limit), max(0, used - int(statistics.get(cache, 0)))))
    return limits


def _total(root: Path) -> int:
    """The memory of the machine in bytes. Raises UsageError if the system does not say it."""
    total = meminfo(kernel_text(root / "proc/meminfo")).get("MemTotal")
    if total is not None:
        return total
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError) as error:
        raise UsageError(
            "this system does not say how much memory it has: give the limit yourself"
        ) from error
