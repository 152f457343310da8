"""The owner of a load: a process, described so that another process can tell whether it still lives.

A load that many processes write has an owner that is none of them: only its deadline decides.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..host.processes import boot, start_of

MAX_TEXT_CHARACTERS: Final = 300
"""Characters of a field that describes an owner: a host name has at most 255 (RFC 1035)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The owner of a load, and the time until which it holds the load: `deadline`, in ms of the server's clock.

    `boot` names the boot and the pid namespace of the host, and `started` says when the process
    started. So another process with the same pid is not taken for the owner. Where many
    processes write the load, `pid` is 0, and `host` is where it was begun.
    """

    token: str
    host: str
    boot: str
    pid: int
    started: str
    deadline: int = 0
    _presence: _Presence | None = field(default=None, repr=False, compare=False)

    @classmethod
    def here(cls) -> Owner:
        """This process, with a token of its own for each load, until `end`."""
        pid, token = os.getpid(), secrets.token_hex(8)
        return cls(
            token=token,
            host=socket.gethostname(),
            boot=boot(),
            pid=pid,
            started=start_of(pid) or "",
            _presence=_announce_presence(token),
        )

    @classmethod
    def shared(cls, token: str) -> Owner:
        """The owner of a load that many processes write: each that knows the token, on any host."""
        return cls(token=token, host=socket.gethostname(), boot="", pid=0, started="")

    def end(self) -> None:
        """Note that this process has finished with the load, whether or not the server could be told so."""
        if self._presence is not None:
            self._presence.end()

    def holds(self, now: int) -> bool:
        """Whether it still owns the load at the server's time `now` (ms).

        The deadline decides. A single process of this host also loses the load as soon as it is gone,
        and this process as soon as it has finished with it.
        """
        if self.deadline <= now:
            return False
        if self.pid == 0 or (self.host, self.boot) != (socket.gethostname(), boot()):
            return True
        if start_of(self.pid) != self.started:
            return False
        # Where the system does not report its boot, another host may have the same name.
        if not self.boot or self.pid != os.getpid():
            return True
        return _announce_presence(self.token) is None

    @property
    def is_past(self) -> bool:
        """Whether it was this process, which has finished with the load since."""
        here = (socket.gethostname(), boot(), os.getpid(), start_of(os.getpid()))
        return (self.host, self.boot, self.pid, self.started) == here and _announce_presence(
            self.token
        ) is not None

    def describe(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else f"many processes, begun on {self.host}"

    def to_fields(self) -> dict[str, str]:
        """The owner's fields of the load hash, without the deadline: a script sets that by the server's clock."""
        return {
            "owner_token": self.token,
            "owner_host": self.host,
            "owner_boot": self.boot,
            "owner_pid": str(self.pid),
            "owner_started": self.started,
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Owner:
        """The inverse of `to_fields`, with the deadline. Raises KeyError or ValueError if a field is malformed."""
        texts = {name: fields[f"owner_{name}"] for name in ("token", "host", "boot", "started")}
        long = [name for name, text in texts.items() if len(text) > MAX_TEXT_CHARACTERS]
        if long:
            raise ValueError(f"its field owner_{long[0]} has more than {MAX_TEXT_CHARACTERS} characters")
        pid, deadline = int(fields["owner_pid"]), int(fields["owner_deadline"])
        if not (0 <= pid < 2**31 and 0 <= deadline < 2**63):
            raise ValueError("its owner has a process or a deadline that cannot be")
        token, host, boot, started = texts.values()
        return cls(token=token, host=host, boot=boot, pid=pid, started=started, deadline=deadline)


class _Presence:
    """Shows that an owner has not finished: a name that the system keeps until `end`, or until nothing refers to it.

    It is kept by the system because all stores and threads of a process share no other place.
    """

    def __init__(self, name: socket.socket) -> None:
        self._descriptor = name.detach()

    def end(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    __del__ = end


def _announce_presence(token: str) -> _Presence | None:
    """The presence of the owner with this token. None if it exists already, or if the system has no such names.

    Names without a file are Linux's: unix(7).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as name:
        try:
            name.bind(f"\0qwf-owner-{token}")
        except OSError:
            return None
        return _Presence(name)
