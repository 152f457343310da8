"""Who owns a load: a process, named so that another can tell whether it still lives."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The owner of a load, and until when (milliseconds of the server's clock) it said it would hold it.

    `boot` names the boot and the pid namespace of the host, `started` the start of the
    process, so that a pid which was given out again is not taken for the owner.
    """

    token: str
    host: str
    boot: str
    pid: int
    started: str
    deadline: int = 0

    @classmethod
    def here(cls) -> Owner:
        """This process, with a token of its own for each load."""
        pid = os.getpid()
        return cls(
            token=secrets.token_hex(8),
            host=socket.gethostname(),
            boot=_boot(),
            pid=pid,
            started=_start_of(pid) or "",
        )

    def holds(self, now: int) -> bool:
        """Whether it still owns the load at the server's time `now` (ms): not released, not dead, not late.

        A process of this host that is gone has lost it at once; elsewhere the deadline decides.
        """
        if self.deadline <= now:
            return False
        if (self.host, self.boot) == (socket.gethostname(), _boot()):
            return _start_of(self.pid) == self.started
        return True

    def describe(self) -> str:
        return f"process {self.pid} on {self.host}"

    def to_fields(self) -> dict[str, str]:
        """The owner's fields of the load hash but the deadline, which a script sets by the server's clock."""
        return {
            "owner_token": self.token,
            "owner_host": self.host,
            "owner_boot": self.boot,
            "owner_pid": str(self.pid),
            "owner_started": self.started,
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Owner:
        """Raises KeyError or ValueError if it is malformed."""
        return cls(
            token=fields["owner_token"],
            host=fields["owner_host"],
            boot=fields["owner_boot"],
            pid=int(fields["owner_pid"]),
            started=fields["owner_started"],
            deadline=int(fields["owner_deadline"]),
        )


def _boot() -> str:
    """Boot id and pid namespace, where the system tells them (Linux: proc(5), pid_namespaces(7))."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_of(pid: int) -> str | None:
    """When the process started, in clock ticks since boot; None if there is no such process, "" if unknown.

    Field 22 of /proc/PID/stat, counted after the last parenthesis (proc(5)). A zombie is gone.
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
