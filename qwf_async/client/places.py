"""Places for connections, which the nodes of a cluster share: a process has a bound on all of them together."""

from __future__ import annotations

from collections import deque
from typing import Final

import anyio

from .connection import Connection

USUAL_SIZE: Final = 50
"""Places, if nobody says how many."""

MOST_PLACES: Final = 1000
"""Places that nodes are given at most without being asked: more open files are seldom allowed."""


class Places:
    """At most `size` connections, lent or idle, to all the servers that share the places; USUAL_SIZE if that is None.

    `free` is held by whoever has borrowed a connection.
    """

    def __init__(self, size: int | None = None) -> None:
        self._may_grow = size is None
        size = size or USUAL_SIZE
        # Without fast_acquire a free place costs a turn of the event loop: a sixth of the time of one HGET.
        self.free = anyio.Semaphore(size, fast_acquire=True)
        self._size = size
        self._idle: list[deque[Connection]] = []

    def grow_for(self, nodes: int) -> None:
        """Have two places a node and ten more, unless the number was given."""
        wanted = min(2 * nodes + 10, MOST_PLACES)
        if self._may_grow:
            for _ in range(wanted - self._size):
                self.free.release()
            self._size = max(self._size, wanted)

    def share(self, idle: deque[Connection]) -> None:
        """Count the idle connections of a server, too; the one that was used last is at the right."""
        self._idle.append(idle)

    def leave(self, idle: deque[Connection]) -> None:
        """Count them no more."""
        self._idle = [other for other in self._idle if other is not idle]

    def make_room(self) -> None:
        """Close the connections that lay idle for longest, to whichever server, until another one may be opened.

        The one who is about to open it has a place already.
        """
        lent = self._size - self.free.value
        while lent + sum(map(len, self._idle)) > self._size:
            longest = min((idle for idle in self._idle if idle), key=lambda idle: idle[0].used)
            longest.popleft().close()
