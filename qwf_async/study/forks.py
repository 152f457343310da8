"""What must not cross fork(2): open SQLite files, and descriptors that hold a lock.

SQLite notes once for a process which locks it holds. A child inherits the note, but not the locks, so
even a new connection of the child would write without them. Source: "How To Corrupt An SQLite Database
File", section 2.6, and `os_unix.c`. So connections are closed before a fork, and opened again when needed.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import Final, Protocol
from weakref import WeakSet


class Forking(Protocol):
    """What is told of a fork, in the thread that forks."""

    def before_fork(self) -> None:
        """Close what neither side may go on with, and let nothing be opened until the fork is done."""

    def after_fork(self) -> None:
        """Go on, on either side."""


_KNOWN: Final[WeakSet[Forking]] = WeakSet()
_HELD: Final[list[Forking]] = []
_LOCK: Final = Lock()


def tell_of_forks(target: Forking) -> None:
    """Tell it of every fork of this process, as long as it exists."""
    with _LOCK:
        _KNOWN.add(target)


def _before() -> None:
    _LOCK.acquire()
    for target in list(_KNOWN):
        _HELD.append(target)  # kept until after the fork, so that each is told of both sides
        target.before_fork()


def _after() -> None:
    while _HELD:
        _HELD.pop().after_fork()
    _LOCK.release()


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
