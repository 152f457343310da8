"""Who writes by a lane: a process, described so that another can tell whether it still lives."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from typing import Self

from ..host.processes import boot, start_of
from .entry import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """The process of a lane. `has_left` says that it ended in order: trials that it left running are told by others.

    `token` tells the storages of a process apart. `boot` names the boot and the pid namespace of the
    host, and `started` says when the process started.
    """

    token: str
    host: str
    boot: str
    pid: int
    started: str
    has_left: bool = False

    @classmethod
    def here(cls, token: str, *, has_left: bool = False) -> Self:
        """This process."""
        pid = os.getpid()
        return cls(
            token=token,
            host=socket.gethostname(),
            boot=boot(),
            pid=pid,
            started=start_of(pid) or "",
            has_left=has_left,
        )

    @property
    def is_of_this_host(self) -> bool:
        """Whether this host can tell if it lives."""
        return bool(self.boot) and (self.host, self.boot) == (socket.gethostname(), boot())

    @property
    def must_be_heard(self) -> bool:
        """Whether only its beats tell that it lives: it is of another host, and did not end in order."""
        return not self.has_left and not self.is_of_this_host

    @property
    def is_dead_here(self) -> bool:
        """Whether it was a process of this host, which is no more, and did not end in order."""
        return not self.has_left and self.is_of_this_host and start_of(self.pid) != self.started

    def to_json(self) -> str:
        """What stands in the hash of writers."""
        return to_json(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> Self | None:
        """The inverse of `to_json`. None if it is of another form."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None
