"""A fourth layout, as someone would add it: the points of a column along z are one field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qwf_async.lattice.grid import Box, Order, Shape3, Shape4
from qwf_async.lattice.plan import BoxPlan, Chunk, Plan
from qwf_async.layout.base import Counts, Probe
from qwf_async.layout.hash_memory import KEY_BYTES, Server, block_bytes
from qwf_async.wire.batch import Batch, Part
from qwf_async.wire.change import cut_place, set_in_tiles
from qwf_async.wire.codec import binary_dtype, damage, digest, is_value, joined
from qwf_async.wire.fetch import Fetch, grouped
from qwf_async.wire.known_replies import KnownReplies
from qwf_async.wire.numbered_texts import NumberedTexts
from qwf_async.wire.resp import bulk, head

KEY = b":c%d"
FIELD = b"%d/%d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Field `{x}/{y}` of the key `{base}:c{t}` holds the values along z."""

    base: bytes
    codec: str
    shape: Shape4

    key_ending: ClassVar[bytes] = KEY
    codecs: ClassVar[Sequence[str]] = ("c16", "c8")
    one_hash: ClassVar[bool] = False
    listpack_fields: ClassVar[int] = 0
    zarr_chunks: ClassVar[bool] = True

    @classmethod
    def of(cls, *, base: bytes, codec: str, shape: Shape4, tile: Shape3 | None, by_restore: bool) -> Columns:
        return cls(base=base, codec=codec, shape=shape)

    @classmethod
    def default_tile(cls, shape: Shape4) -> None:
        return None

    @classmethod
    def probe(cls, base: bytes, codec: str) -> Probe | None:
        return None

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(binary_dtype(self.codec))

    @property
    def grain(self) -> Shape4:
        return (1, 1, 1, self.shape[3])

    @property
    def field_bytes(self) -> int:
        return self.shape[3] * self.dtype.itemsize

    @property
    def counts(self) -> Counts:
        return Counts(keys=self.shape[0], fields=math.prod(self.shape[:3]))

    def plan(self, order: Order) -> Plan:
        return BoxPlan.cut(self.shape, order=order, unit=self.grain)

    def fits(self, plan: Plan) -> bool:
        return isinstance(plan, BoxPlan) and plan.chunk[3] == self.shape[3]

    def memory(self, server: Server, *, listpacks: bool, peak: bool) -> int:
        field = block_bytes(self.field_bytes + 40, server) + 40
        return self.counts.keys * KEY_BYTES + self.counts.fields * field

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        parts = []
        for frame, (key, names) in zip(values, self._rows(chunk.box), strict=True):
            columns = frame.reshape(-1, self.shape[3])  # [x, y, z] → [columns, z]
            pairs = zip(names, columns, strict=True)
            request = head(b"HSET", key, 2 * len(names)) + b"".join(
                bulk(name) + bulk(column.tobytes()) for name, column in pairs
            )
            parts.append(Part(key=key, requests=1, buffers=(request,)))
        return Batch(
            chunk=chunk.number,
            points=chunk.points,
            parts=parts,
            digest=digest(self.codec, values),
            weight=weight,
            values=values,
        )

    def marks(self, chunk: Chunk) -> NDArray[np.int64]:
        t, x, y, z = chunk.box.start
        return np.array([(frame, x, y, z) for frame in range(t, chunk.box.stop[0])])

    def changes(self, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        parts, count = [], box.shape[3]
        column: Shape3 = (1, 1, self.shape[3])
        place = cut_place(column, (0, 0, box.start[3]), (1, 1, count), self.dtype.itemsize)
        for frame, (key, names) in zip(values, self._rows(box), strict=True):
            pieces = np.ascontiguousarray(frame).reshape(-1, count)
            pairs = zip(names, pieces, strict=True)
            begin = partial(set_in_tiles, place=place)(key, 2 * len(names))
            request = begin + b"".join(bulk(name) + bulk(piece.tobytes()) for name, piece in pairs)
            parts.append(Part(key=key, requests=1, buffers=(request,)))
        return parts

    def keys(self) -> Iterator[bytes]:
        return map(self._key, range(self.shape[0]))

    def requests(self, box: Box) -> Sequence[Part]:
        parts = []
        for key, names in self._rows(box):
            request = head(b"HMGET", key, len(names)) + b"".join(map(bulk, names))
            parts.append(Part(key=key, requests=1, buffers=(request,), fields=(len(names),)))
        return parts

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        columns = [column for reply in replies for column in reply]
        data = joined(columns, self.field_bytes)
        if data is None:
            number = next(n for n, value in enumerate(columns) if not is_value(value, self.field_bytes))
            names = [(key, name) for key, names in self._rows(box) for name in names]
            raise damage(*names[number], columns[number], f"instead of {self.field_bytes}")
        whole = np.frombuffer(data, self.dtype).reshape(*box.shape[:3], self.shape[3])
        return whole[..., box.start[3] : box.stop[3]]

    def whole(self, box: Box) -> KnownReplies | None:
        return None

    def fetches(self, points: NDArray[np.int64]) -> Iterator[Fetch]:
        places = np.ravel_multi_index(tuple(points[:, :3].T), self.shape[:3])
        for rows, distinct, among in grouped(places, 1000):
            t, x, y = np.unravel_index(distinct, self.shape[:3])
            begins = np.flatnonzero(np.diff(t, prepend=-1))
            yield Fetch(
                keys=NumberedTexts.of(KEY, t[begins], after=self.base),
                fields=NumberedTexts.of(FIELD, x, y),
                counts=np.diff(begins, append=len(t)),
                codec=self.codec,
                held=self.shape[3],
                rows=rows,
                among=among,
                inside=points[rows, 3],
            )

    def _rows(self, box: Box) -> Iterator[tuple[bytes, list[bytes]]]:
        """For each hash that the box touches, its key and the fields of the columns, in C order."""
        t, x, y, _ = (range(start, stop) for start, stop in zip(box.start, box.stop, strict=True))
        names = [FIELD % place for place in product(x, y)]
        return ((self._key(frame), names) for frame in t)

    def _key(self, t: int) -> bytes:
        return self.base + KEY % t
