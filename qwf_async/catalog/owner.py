"""Who owns a load: a process, named so that another can tell whether it still lives."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MOST_CHARACTERS: Final = 300
"""Characters of what an owner says of itself: a host name has at most 255 (RFC 1035)."""


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
    _sign: _Sign | None = field(default=None, repr=False, compare=False)

    @classmethod
    def here(cls) -> Owner:
        """This process, with a token of its own for each load, until `end`."""
        pid, token = os.getpid(), secrets.token_hex(8)
        return cls(
            token=token,
            host=socket.gethostname(),
            boot=_boot(),
            pid=pid,
            started=_start_of(pid) or "",
            _sign=_sign_of(token),
        )

    def end(self) -> None:
        """This process is through with the load, whether or not the server could be told so."""
        if self._sign is not None:
            self._sign.take_down()

    def holds(self, now: int) -> bool:
        """Whether it still owns the load at the server's time `now` (ms): not released, not dead, not late.

        A process of this host that is gone has lost it at once, and so has this process when it
        is through with it; elsewhere the deadline decides.
        """
        if self.deadline <= now:
            return False
        if (self.host, self.boot) != (socket.gethostname(), _boot()):
            return True
        if _start_of(self.pid) != self.started:
            return False
        # Where the system does not tell its boot, a host of the same name may be another.
        if not self.boot or self.pid != os.getpid():
            return True
        return _sign_of(self.token) is None

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
        texts = {name: fields[f"owner_{name}"] for name in ("token", "host", "boot", "started")}
        long = [name for name, text in texts.items() if len(text) > MOST_CHARACTERS]
        if long:
            raise ValueError(f"its field owner_{long[0]} has more than {MOST_CHARACTERS} characters")
        pid, deadline = int(fields["owner_pid"]), int(fields["owner_deadline"])
        if not (0 < pid < 2**31 and 0 <= deadline < 2**63):
            raise ValueError("its owner has a process or a deadline that cannot be")
        token, host, boot, started = texts.values()
        return cls(token=token, host=host, boot=boot, pid=pid, started=started, deadline=deadline)


class _Sign:
    """That an owner is not through: a name that the system keeps until it is taken down, or nobody refers to it.

    The system's, because only there all stores and threads of a process meet.
    """

    def __init__(self, name: socket.socket) -> None:
        self._name = name.detach()

    def take_down(self) -> None:
        if self._name >= 0:
            os.close(self._name)
            self._name = -1

    __del__ = take_down


def _sign_of(token: str) -> _Sign | None:
    """Set the sign up. None if it is there already, or cannot be (names without a file are Linux's: unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as name:
        try:
            name.bind(f"\0qwf-owner-{token}")
        except OSError:
            return None
        return _Sign(name)


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
