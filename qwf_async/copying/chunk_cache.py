"""The chunks of a wavefunction that is copied, while they are in use: each is loaded once, though others cut across it.

A chunk is kept until all its points were asked for. If that takes more memory than the bound, the one that was used
longest ago is given up, and loaded again when it is asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box
from ..lattice.plan import Chunk, Plan

MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of chunks that are kept."""

LoadChunks = Callable[[Sequence[int]], Sequence[NDArray[Any]]]
"""Yields the values of chunks by their numbers, each of the chunk's shape. It is called in worker threads."""


@dataclass(slots=True)
class _Kept:
    values: Future[NDArray[Any]]
    left: int


@dataclass(slots=True, kw_only=True)
class ChunkCache:
    """The chunks of a plan, as `load` yields them. `read` may be called in several threads at once."""

    plan: Plan
    dtype: np.dtype[Any]
    load: LoadChunks
    max_bytes: int = MAX_BYTES
    _kept: OrderedDict[int, _Kept] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def read(self, box: Box) -> NDArray[Any]:
        """The values of a box. Raises what `load` raises."""
        parts = list(self.plan.touched(box))
        if len(parts) == 1 and self.plan[parts[0][0]].boxes == (box,):
            (values,) = self.load([parts[0][0]])
            return values.reshape(box.shape)
        whole = np.empty(box.shape, self.dtype)
        room = max(1, self.max_bytes // (2 * self.dtype.itemsize * self.plan.largest))
        for first in range(0, len(parts), room):
            some = parts[first : first + room]
            for (number, pieces), values in zip(some, self._values([n for n, _ in some]), strict=True):
                chunk = self.plan[number]
                for piece in pieces:
                    whole[piece.within(box)] = _cut(chunk, values, piece)
                self._used(number, sum(piece.points for piece in pieces))
        return whole

    def _values(self, numbers: Sequence[int]) -> list[NDArray[Any]]:
        """The values of chunks: those that nobody has loaded yet are loaded together."""
        own: list[int] = []
        with self._lock:
            for number in numbers:
                if number not in self._kept:
                    self._kept[number] = _Kept(Future(), self.plan[number].points)
                    own.append(number)
                self._kept.move_to_end(number)
            wanted = [self._kept[number].values for number in numbers]
            self._make_room(set(numbers))
        if own:
            futures = [wanted[numbers.index(number)] for number in own]
            try:
                for future, values in zip(futures, self.load(own), strict=True):
                    future.set_result(values)
            except BaseException as error:
                with self._lock:
                    for number in own:
                        self._kept.pop(number, None)
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
                raise
        return [future.result() for future in wanted]

    def _make_room(self, needed: set[int]) -> None:
        """Give up chunks that were used longest ago; not what is being loaded."""
        size = self.dtype.itemsize * self.plan.largest
        for number in [number for number, kept in self._kept.items() if kept.values.done()]:
            if len(self._kept) * size <= self.max_bytes:
                return
            if number not in needed:
                del self._kept[number]

    def _used(self, number: int, points: int) -> None:
        with self._lock:
            kept = self._kept.get(number)
            if kept is not None:
                kept.left -= points
                if kept.left <= 0:
                    del self._kept[number]


def _cut(chunk: Chunk, values: NDArray[Any], piece: Box) -> NDArray[Any]:
    """The values of a piece of one of the chunk's boxes."""
    flat, begin = values.reshape(-1), 0
    for box in chunk.boxes:
        if all(a <= i < b for a, i, b in zip(box.start, piece.start, box.stop, strict=True)):
            return flat[begin : begin + box.points].reshape(box.shape)[piece.within(box)]
        begin += box.points
    raise AssertionError("a piece of a chunk lies in one of its boxes")
