"""The cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

from .control_groups import ControlGroup, control_groups


def cores(root: Path = Path("/")) -> int:
    """Whole cores that this process may use, at least 1: those it is bound to, or what its control groups let it have.

    `root` is where the file system that holds /proc and /sys begins.
    Source of the groups' files: the kernel's admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = (_cores_of(group) for group in control_groups("cpu", root))
    return max(1, min([bound, *(limit for limit in limits if limit is not None)]))


def _cores_of(group: ControlGroup) -> int | None:
    """Whole cores for which a group may run; None if it has no limit."""
    if group.version == 2:
        words = group.read("cpu.max").split()
    else:
        words = [*group.read("cpu.cfs_quota_us").split(), *group.read("cpu.cfs_period_us").split()]
    if len(words) != 2 or not all(map(str.isdecimal, words)) or words[1] == "0":
        return None  # "max", or -1 in version 1
    quota, period = map(int, words)
    return quota // period
