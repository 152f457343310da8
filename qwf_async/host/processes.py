"""Which process it is: the boot that it lives in, and when it started. Both outlast the number of a process."""

from __future__ import annotations

import os
from pathlib import Path


def boot() -> str:
    """Boot id and pid namespace, or "" where the system has none (Linux: proc(5), pid_namespaces(7))."""
    try:
        identity = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{identity}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def start_of(pid: int) -> str | None:
    """When the process started, in clock ticks since boot; None if there is no such process, "" if unknown.

    It is field 22 of /proc/PID/stat, counted after the last parenthesis (proc(5)). A zombie
    counts as gone.
    """
    try:
        after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() or not _exists(pid) else ""
    except OSError:
        return None
    return None if after[0] in "ZX" else after[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
