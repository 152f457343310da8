"""A box of points read by the whole hashes that hold it, with DUMP: several times as fast as field by field."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box
from .arena import Arena
from .batch import Buffer
from .hash_dump import DumpedBox
from .resp import head

MAX_NAME: Final = 20
"""Bytes of the longest name that no server compresses (`rdbSaveRawString` of `rdb.c`, Redis 7.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlabDump:
    """The reply to DUMP of the hash `key`, which holds the points of a box; `part` of them are wanted."""

    key: bytes
    dump: DumpedBox
    part: Box

    @property
    def begin(self) -> bytes:
        """What the reply begins with. In RESP no reply is the beginning of another, so just as many bytes follow."""
        return b"$%d\r\n" % self.dump.nbytes

    @property
    def nbytes(self) -> int:
        return len(self.begin) + self.dump.nbytes + len(b"\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpedSlabs:
    """The hashes that hold a box, to be read whole by `request`. `data` is room for the bytes of the replies."""

    box: Box
    slabs: Sequence[SlabDump]
    starts: Sequence[int]
    data: NDArray[np.uint8]

    @classmethod
    def of(cls, box: Box, slabs: Sequence[SlabDump], memory: Arena) -> Self:
        *starts, size = accumulate((slab.nbytes for slab in slabs), initial=0)
        return cls(box=box, slabs=slabs, starts=starts, data=memory.take(size))

    dumped: ClassVar[bool] = True

    @property
    def request(self) -> Buffer:
        return b"".join(head(b"DUMP", slab.key, 0) for slab in self.slabs)

    def match(self, start: int, stop: int) -> bool:
        """Whether the bytes start … stop−1 of `data` are as expected, as far as can be told before the rest is there.

        Only then the rest comes.
        """
        first = max(0, bisect_left(self.starts, start) - 1)
        for slab, begin in zip(self.slabs[first:], self.starts[first:], strict=True):
            if begin >= stop:
                break
            expected = slab.begin[max(0, start - begin) : max(0, stop - begin)]
            at = max(begin, start)
            if self.data[at : at + len(expected)].tobytes() != expected:
                return False
        return True

    def values(self, into: NDArray[Any]) -> bool:
        """Put the values of the box into an array of it, [t, x, y, z].

        False if one of the hashes does not hold exactly its points; then some values may have been put there.
        """
        for slab, start in zip(self.slabs, self.starts, strict=True):
            begin = start + len(slab.begin)
            values = slab.dump.values(self.data[begin : begin + slab.dump.nbytes])
            if values is None:
                return False
            into[slab.part.within(self.box)] = values[slab.part.within(slab.dump.box)]
        return True
