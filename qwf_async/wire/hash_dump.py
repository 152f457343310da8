"""The reply to DUMP of a hash that holds the points of a box, taken apart by numpy: all records at once.

A hash table gives its fields in an order of its own, and a value may be any bytes, also such
as look like a field. So nothing is taken for granted. The records must lie end to end from the first
byte to the last, each name must be that of a point of the box, and each point must come once. If
anything differs there are no values, and the box is to be read field by field.

Format: as in `hash_payload`. A server writes some strings in other ways: those of up to 11 bytes
that are integers, and those of more than 20 that LZF makes shorter. The length of the whole then
differs. Source: `rdbSaveRawString` of `rdb.c`, Redis 7.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box
from .field_names import blocks
from .hash_payload import beginning
from .rdb import CRC_BYTES, ENDING_BYTES, crc64
from .record_names import RecordNames

ROUNDS: Final = 8
"""How often what only looks like a record is taken out of the chain. In random values there is little of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpedBox:
    """What DUMP gives of a hash that holds the points of a box, and nothing else, with values of this dtype.

    nbytes: how long it is. names: of its blocks of points.
    """

    box: Box
    dtype: np.dtype[Any]
    nbytes: int
    names: Sequence[RecordNames]

    @classmethod
    def of(cls, box: Box, dtype: np.dtype[Any]) -> Self:
        names = [RecordNames.of(block, dtype.itemsize, box) for block in blocks(box)]
        records = sum(some.points * some.record_bytes for some in names)
        return cls(box=box, dtype=dtype, nbytes=len(beginning(box)) + records + ENDING_BYTES, names=names)

    def values(self, data: NDArray[np.uint8]) -> NDArray[Any] | None:
        """The values of the box, [t, x, y, z], copied out of `data`; None if that is not what DUMP gives of them."""
        begin = beginning(self.box)
        if data.size != self.nbytes or data[: len(begin)].tobytes() != begin:
            return None
        if crc64(data[:-CRC_BYTES].data) != data[-CRC_BYTES:].tobytes():
            return None
        values = np.empty(self.box.points, self.dtype)
        found = np.zeros(self.box.points, np.bool)
        for names, rows in self._rows(data[len(begin) : -ENDING_BYTES]):
            places = names.places(rows)
            if places is None:
                return None
            found[places] = True
            at = names.record_bytes - self.dtype.itemsize
            values[places] = np.ndarray((len(rows),), self.dtype, rows, at, rows.strides[:1])
        return values.reshape(self.box.shape) if found.all() else None

    def _rows(self, data: NDArray[np.uint8]) -> Iterator[tuple[RecordNames, NDArray[np.uint8]]]:
        """The records of each block, uint8 [records, bytes of one]. Nothing if records do not fill the data."""
        by_size: dict[int, list[RecordNames]] = {}
        for names in self.names:
            by_size.setdefault(names.record_bytes, []).append(names)
        if len(self.names) == 1:
            yield self.names[0], data.reshape(-1, self.names[0].record_bytes)
            return
        starts, sizes = _chain(data, min(by_size), max(by_size), 2 + self.dtype.itemsize)
        starts = starts.take(np.argsort(sizes, kind="stable"))
        counts = np.bincount(sizes, minlength=max(by_size) + 1)
        ends = np.cumsum(counts).tolist()
        for size, alike in by_size.items():
            windows: NDArray[np.void] = np.ndarray((data.size - size + 1,), f"V{size}", data, 0, (1,))
            some = starts[ends[size - 1] : ends[size]]
            shared = frozenset.intersection(*(names.separators for names in alike))
            for names in alike:
                own = some
                for at in names.separators - shared:
                    own = own[data[own + at] == ord("_")]
                yield names, windows[own].view(np.uint8).reshape(-1, size)


def _chain(
    data: NDArray[np.uint8], least: int, most: int, besides: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Where each record begins, and its size, if records fill the data from end to end; else nothing.

    A record has `least` to `most` bytes, of which `besides` are not those of its name.

    A record may begin where an x follows the length of a name. In values that is so now and then by chance.
    The first such place does not lie where the record before it ends. It is left out, and then the next.
    """
    starts = np.flatnonzero(data == ord("x")) - 1
    sizes = data.take(starts, mode="wrap") + np.uint8(besides)
    chosen = np.flatnonzero(sizes - np.uint8(least) <= most - least)
    starts, sizes = starts.take(chosen), sizes.take(chosen)
    for _ in range(ROUNDS):
        ends = starts + sizes
        odd = ends[:-1] != starts[1:]
        if not odd.any():
            whole = starts.size > 0 and starts[0] == 0 and ends[-1] == data.size
            return (starts, sizes) if whole else (starts[:0], sizes[:0])
        odd[1:] &= ~odd[:-1]
        kept = np.flatnonzero(~np.concatenate(([False], odd)))
        starts, sizes = starts.take(kept), sizes.take(kept)
    return starts[:0], sizes[:0]
