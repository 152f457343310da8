"""Layout packed: buckets of 128 points, each a hash that stays a listpack, at a quarter of flat's memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedData
from ..lattice.grid import Box, Shape4
from ..lattice.plan import Chunk, c_index, c_indices
from ..wire.batch import Batch, Part, byte_view
from ..wire.buckets import BUCKET, hset, requests, restore
from ..wire.change import pairs, set_fields
from ..wire.codec import binary_dtype, digest, most_bytes
from ..wire.replies import fault, is_value, joined
from ..wire.resp import bulk, head
from ..wire.slab import Slabs

CHUNK_BUCKETS: Final = BUCKET
"""Chunks are whole buckets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Point i of the C order is the field `i % 128` of the key `{base}:b{i // 128}`.

    With `by_restore` the buckets are sent as ready-made listpacks, which the server takes
    over as they are; else as HSET. What is stored is the same.
    """

    base: bytes
    codec: str
    shape: Shape4
    by_restore: bool = False
    _slabs: Slabs = field(default_factory=Slabs, repr=False, compare=False)

    @property
    def grain(self) -> Shape4:
        return (1, 1, 1, 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(binary_dtype(self.codec))

    @property
    def field_bytes(self) -> int:
        return most_bytes(self.codec)

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        first = c_index(self.shape, chunk.boxes[0].start) // BUCKET
        template = restore if self.by_restore else hset
        return Batch(
            chunk=chunk.number,
            points=chunk.points,
            parts=list(requests(self.base, first, values, template, self._slabs)),
            digest=digest(self.codec, values),
            weight=weight,
            values=values,
        )

    def changes(self, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        numbers, begins, fields = self._places(box)
        data, ends = pairs(fields, values.reshape(-1))
        view, stops, start = byte_view(data), [*begins[1:], len(fields)], 0
        parts = []
        for number, begin, stop in zip(numbers, begins, stops, strict=True):
            key, end = self._key(number), int(ends[stop - 1])
            buffers = (set_fields(key, 2 * (stop - begin)), view[start:end])
            parts.append(Part(key=key, requests=1, buffers=buffers))
            start = end
        return parts

    def keys(self) -> Iterator[bytes]:
        for number in range(-(-math.prod(self.shape) // BUCKET)):
            yield self._key(number)

    def requests(self, box: Box) -> Sequence[Part]:
        if box.points == 1:
            number, field = divmod(c_index(self.shape, box.start), BUCKET)
            key = self._key(number)
            return (
                Part(key=key, requests=1, buffers=(head(b"HMGET", key, 1) + _NAMES[field],), fields=(1,)),
            )
        numbers, begins, fields = self._places(box)
        parts = []
        for number, begin, end in zip(numbers, begins, [*begins[1:], len(fields)], strict=True):
            key = self._key(number)
            names = b"".join(_NAMES[field] for field in fields[begin:end].tolist())
            request = head(b"HMGET", key, end - begin) + names
            parts.append(Part(key=key, requests=1, buffers=(request,), fields=(end - begin,)))
        return parts

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        found = [value for reply in replies for value in reply]
        data = joined(found, self.dtype.itemsize)
        if data is None:
            raise self._damage(box, found)
        return np.frombuffer(data, self.dtype).reshape(box.shape)

    def _places(self, box: Box) -> tuple[list[int], list[int], NDArray[np.int64]]:
        """The buckets that a box touches, where the points of each begin, and the field of each point, in C order."""
        buckets, fields = np.divmod(c_indices(self.shape, box), BUCKET)
        begins = np.flatnonzero(np.diff(buckets, prepend=-1))
        return buckets[begins].tolist(), begins.tolist(), fields

    def _key(self, number: int) -> bytes:
        return b"%s:b%d" % (self.base, number)

    def _damage(self, box: Box, found: Sequence[Any]) -> DamagedData:
        """The error that names the first value that is missing or of the wrong length."""
        number = next(n for n, value in enumerate(found) if not is_value(value, self.dtype.itemsize))
        bucket, field = divmod(int(c_indices(self.shape, box)[number]), BUCKET)
        what = fault(found[number], f"that are no {self.codec}")
        return DamagedData(f"{self._key(bucket).decode()} {what} the field {field}")


_NAMES: Final = tuple(bulk(b"%d" % number) for number in range(BUCKET))
