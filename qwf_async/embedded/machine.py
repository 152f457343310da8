"""The memory of this machine, or of the control groups that this process is confined to.

The limit of a container is not in /proc/meminfo. It is found by walking from the process's own
control group up to the root of the hierarchy; the smallest limit on that path counts. Both
versions of control groups are read, because a hybrid system has the memory controller in version 1.
Sources: proc(5), cgroups(7), the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
Not covered: address space limits (ulimit -v), and other systems' containers.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """The directory in which the kernel shows the memory of one group, in a hierarchy of version 1 or 2."""

    path: PurePosixPath
    version: int

    @property
    def limit_file(self) -> str:
        return "memory.max" if self.version == 2 else "memory.limit_in_bytes"

    @property
    def usage_file(self) -> str:
        return "memory.current" if self.version == 2 else "memory.usage_in_bytes"

    @property
    def cache_entry(self) -> str:
        """The line of memory.stat with the bytes that the kernel can take back at once, children included."""
        return "inactive_file" if self.version == 2 else "total_inactive_file"


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
    free = meminfo(_read(root / "proc/meminfo")).get("MemAvailable", _total(root))
    return max(0, min([free, *(limit - used for limit, used in _limits(root))]))


def meminfo(text: str) -> dict[str, int]:
    """Name → bytes of the entries of /proc/meminfo that are amounts of memory."""
    amounts = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    return {name: int(amount) * 1024 for name, amount in amounts}


def memory_groups(membership: str, mounts: str) -> list[ControlGroup]:
    """The groups that confine a process, each with all its ancestors that can be seen.

    `membership` is the text of /proc/self/cgroup, `mounts` that of /proc/self/mountinfo.
    """
    paths: dict[int, str] = {}
    for line in membership.splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            paths[1] = path
        elif number == "0" and not controllers:
            paths[2] = path
    groups: list[ControlGroup] = []
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        version = {"cgroup": 1, "cgroup2": 2}.get(kind)
        if version not in paths or (version == 1 and "memory" not in options.split(",")):
            continue
        top, mount = (_unescape(field) for field in left.split(" ")[3:5])
        inside = _below(paths[version], top)
        groups += [
            ControlGroup(path=PurePosixPath(mount) / part, version=version)
            for part in (inside, *inside.parents)
        ]
    return groups


def _below(path: str, top: str) -> PurePosixPath:
    """`path` relative to a mount of `top`; the mount itself if `path` is not below it (another namespace)."""
    try:
        inside = PurePosixPath(path).relative_to(top)
    except ValueError:
        return PurePosixPath()
    return PurePosixPath() if ".." in inside.parts else inside


def _unescape(field: str) -> str:
    """A field of mountinfo, in which space, tab, newline and backslash are octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _limits(root: Path) -> list[tuple[int, int]]:
    """(limit, memory in use) of every group that has a limit, in bytes, without cache that can be dropped."""
    groups = memory_groups(_read(root / "proc/self/cgroup"), _read(root / "proc/self/mountinfo"))
    limits: list[tuple[int, int]] = []
    for group in groups:
        directory = root / group.path.relative_to("/")
        limit = _read(directory / group.limit_file).strip()
        if limit.isdecimal():
            used = int(_read(directory / group.usage_file).strip() or 0)
            statistics = dict(re.findall(r"^(\w+) (\d+)$", _read(directory / "memory.stat"), re.MULTILINE))
            limits.append((int(limit), max(0, used - int(statistics.get(group.cache_entry, 0)))))
    return limits


def _total(root: Path) -> int:
    """The memory of the machine in bytes. Raises UsageError if the system does not say it."""
    total = meminfo(_read(root / "proc/meminfo")).get("MemTotal")
    if total is not None:
        return total
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError) as error:
        raise UsageError(
            "this system does not say how much memory it has: give the limit yourself"
        ) from error


def _read(path: Path) -> str:
    """The text of a file of the kernel; empty if there is no such file or it may not be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
