"""Memory for encoded chunks, which is reused as soon as nothing refers to it.

A chunk takes 3 MB and is gone 100 ms later. In memory fresh from the system each page causes
a page fault, which takes longer (1.1 ms a chunk) than encoding into it (0.6 ms).
"""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


class _Slab(np.ndarray[Any, Any]):
    """A type of its own, because views of a plain array would keep alive its base and not the array itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slabs:
    """A few slabs of memory, each of which is lent again only when no view of it is left anywhere.

    At most `keep` unused ones are kept. Several threads may use it at once.
    """

    keep: int = 8
    _unused: deque[NDArray[np.uint8]] = field(default_factory=deque)

    def take(self, size: int) -> NDArray[np.uint8]:
        """`size` bytes of undefined content."""
        try:
            memory = self._unused.pop()
        except IndexError:
            memory = np.empty(size, np.uint8)
        if memory.size < size:
            memory = np.empty(size, np.uint8)
        slab = memory.view(_Slab)
        weakref.finalize(slab, self._give_back, memory).atexit = False
        return slab[:size].view(np.ndarray)

    def _give_back(self, memory: NDArray[np.uint8]) -> None:
        if len(self._unused) < self.keep:
            self._unused.append(memory)
