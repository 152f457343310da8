"""Memory for encoded chunks and for replies, which is reused as soon as nothing refers to it.

A chunk takes 3 MB and is gone 100 ms later. In memory fresh from the system each page causes
a page fault, which takes longer (1.1 ms a chunk) than encoding into it (0.6 ms).
"""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


class _Piece(np.ndarray[Any, Any]):
    """A type of its own, because views of a plain array would keep alive its base and not the array itself."""


KEPT: Final = 8
"""Unused pieces that are kept: as many as come back at once when the writers are quick and the stream is drained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A few pieces of memory, each of which is lent again only when no view of it is left anywhere.

    At most KEPT unused ones are kept. Several threads may use it at once, and a piece may come back in any thread.
    """

    _unused: deque[NDArray[np.uint8]] = field(default_factory=partial(deque, maxlen=KEPT))

    def take(self, size: int) -> NDArray[np.uint8]:
        """`size` bytes of undefined content."""
        try:
            memory = self._unused.pop()
        except IndexError:
            memory = np.empty(size, np.uint8)
        if memory.size < size:
            memory = np.empty(size, np.uint8)
        piece = memory.view(_Piece)
        weakref.finalize(piece, self._unused.append, memory).atexit = False
        return piece[:size].view(np.ndarray)
