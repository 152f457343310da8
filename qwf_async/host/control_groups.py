"""The control groups that this process is confined to, for one controller: where the kernel shows their limits.

They are found by walking from the process's own control group up to the root of the hierarchy.
Both versions of control groups are read, because a hybrid system has some controllers in version 1.
Sources: cgroups(7), the kernel's admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """The directory in which the kernel shows one group, in a hierarchy of version 1 or 2."""

    directory: Path
    version: int

    def read(self, name: str) -> str:
        """The text of one of its files; empty if there is no such file or it may not be read."""
        return kernel_text(self.directory / name)


def control_groups(controller: str, root: Path) -> list[ControlGroup]:
    """The groups that confine this process by a controller ("memory", "cpu"), with all ancestors that can be seen.

    `root` is where the file system that holds /proc and /sys begins.
    """
    paths: dict[int, str] = {}
    for line in kernel_text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            paths[1] = path
        elif number == "0" and not controllers:
            paths[2] = path
    groups: list[ControlGroup] = []
    for line in kernel_text(root / "proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        version = {"cgroup": 1, "cgroup2": 2}.get(kind)
        if version not in paths or (version == 1 and controller not in options.split(",")):
            continue
        top, mount = (_unescape(field) for field in left.split(" ")[3:5])
        inside = _below(paths[version], top)
        groups += [
            ControlGroup(directory=root / mount.lstrip("/") / part, version=version)
            for part in (inside, *inside.parents)
        ]
    return groups


def kernel_text(path: Path) -> str:
    """The text of a file of the kernel; empty if there is no such file or it may not be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


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
