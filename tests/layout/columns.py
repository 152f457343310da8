"""A fourth layout, as someone would add it: the points of a column along z are one field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qwf_async.lattice.grid import Box, Order, Shape3, Shape4
from qwf_async.lattice.plan import BoxPlan, Chunk, Plan
from qwf_async.layout.base import Counts, Parameters, Place, Probe
from qwf_async.layout.hash_memory import KEY_BYTES, Server, block_bytes
from qwf_async.wire.arena import Arena
from qwf_async.wire.batch import Batch, Part
from qwf_async.wire.change import cut_place, set_in_tiles
from qwf_async.wire.codec import binary_dtype, damage, digest, is_value, joined
from qwf_async.wire.fetch import Fetch, grouped
from qwf_async.wire.known_replies import KnownReplies
from qwf_async.wire.numbered_texts import NumberedTexts
from qwf_async.wire.resp import bulk, head

KEY = b"%d}:c"
FIELD = b"%d/%d/%d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Field `{t}/{x}/{y}` of the key `{base}{g}}:c` of its chunk g holds the values along z."""

    base: bytes
    codec: str
    plan: BoxPlan

    key_ending: ClassVar[bytes] = KEY
    codecs: ClassVar[Sequence[str]] = ("c16", "c8")
    slabs: ClassVar[bool] = False
    one_hash: ClassVar[bool] = False
    listpack_fields: ClassVar[int] = 0
    zarr_chunks: ClassVar[bool] = True

    @classmethod
    def of(cls, form: Parameters, base: bytes, *, by_restore: bool, arena: Arena) -> Columns:
        return cls(base=base, codec=form.codec, plan=form.plan)  # type: ignore[arg-type] # looked at by `fits`

    @classmethod
    def default_tile(cls, shape: Shape4) -> None:
        return None

    @classmethod
    def cut(cls, shape: Shape4, order: Order, tile: Shape3 | None) -> Plan:
        return BoxPlan.cut(shape, order=order, unit=(1, 1, 1, shape[3]))

    def probe(self) -> Probe | None:
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
        return Counts(keys=len(self.plan), fields=math.prod(self.shape[:3]))

    @property
    def shape(self) -> Shape4:
        return self.plan.shape

    @property
    def fits(self) -> bool:
        return isinstance(self.plan, BoxPlan) and self.plan.chunk[3] == self.shape[3]

    def memory(self, server: Server, *, listpacks: bool, peak: bool) -> int:
        field = block_bytes(self.field_bytes + 40, server) + 40
        return self.counts.keys * KEY_BYTES + self.counts.fields * field

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        names = self._names(chunk.box)
        columns = values.reshape(-1, self.shape[3])  # [t, x, y, z] → [columns, z]
        key = self._key(chunk.number)
        request = head(b"HSET", key, 2 * len(names)) + b"".join(
            bulk(name) + bulk(column.tobytes()) for name, column in zip(names, columns, strict=True)
        )
        return Batch(
            chunk=chunk.number,
            points=chunk.points,
            parts=(Part(key=key, requests=1, buffers=(request,)),),
            digest=digest(self.codec, values),
            weight=weight,
            values=values,
        )

    def marks(self, chunk: Chunk) -> NDArray[np.int64]:
        return np.array([chunk.box.start])

    def changes(self, chunk: int, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        names, count = self._names(box), box.shape[3]
        column: Shape3 = (1, 1, self.shape[3])
        place = cut_place(column, (0, 0, box.start[3]), (1, 1, count), self.dtype.itemsize)
        pieces = np.ascontiguousarray(values).reshape(-1, count)
        key = self._key(chunk)
        request = set_in_tiles(key, chunk, 2 * len(names), place=place) + b"".join(
            bulk(name) + bulk(piece.tobytes()) for name, piece in zip(names, pieces, strict=True)
        )
        return (Part(key=key, requests=1, buffers=(request,)),)

    @property
    def in_line(self) -> None:
        return None

    def keys(self, group: int) -> Iterator[bytes]:
        yield self._key(group)

    def place(self, point: Shape4) -> Place:
        size = self.dtype.itemsize
        return Place(
            key=self._key(self.plan.holding(point)),
            field=FIELD % point[:3],
            offset=point[3] * size,
            nbytes=size,
        )

    def requests(self, box: Box) -> Sequence[Part]:
        parts = []
        for chunk, (piece,) in self.plan.touched(box):
            key, names = self._key(chunk), self._names(piece)
            request = head(b"HMGET", key, len(names)) + b"".join(map(bulk, names))
            parts.append(Part(key=key, requests=1, buffers=(request,), fields=(len(names),)))
        return parts

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        values = np.empty(box.shape, self.dtype)
        for (chunk, (piece,)), columns in zip(self.plan.touched(box), replies, strict=True):
            data = joined(columns, self.field_bytes)
            if data is None:
                number = next(n for n, value in enumerate(columns) if not is_value(value, self.field_bytes))
                wrong = f"instead of {self.field_bytes}"
                raise damage(self._key(chunk), self._names(piece)[number], columns[number], wrong)
            whole = np.frombuffer(data, self.dtype).reshape(*piece.shape[:3], self.shape[3])
            values[piece.within(box)] = whole[..., box.start[3] : box.stop[3]]
        return values

    def whole(self, box: Box, *, dumped: bool) -> KnownReplies | None:
        return None

    def fetches(self, points: NDArray[np.int64]) -> Iterator[Fetch]:
        sizes = (len(self.plan), *self.shape[:3])
        places = np.ravel_multi_index((self.plan.holding_each(points), *points[:, :3].T), sizes)
        for rows, distinct, among in grouped(places, 1000):
            chunks, t, x, y = np.unravel_index(distinct, sizes)
            begins = np.flatnonzero(np.diff(chunks, prepend=-1))
            yield Fetch(
                keys=NumberedTexts.of(KEY, chunks[begins], after=self.base),
                fields=NumberedTexts.of(FIELD, t, x, y),
                counts=np.diff(begins, append=len(t)),
                codec=self.codec,
                held=self.shape[3],
                rows=rows,
                among=among,
                inside=points[rows, 3],
            )

    def _names(self, box: Box) -> list[bytes]:
        """The fields of the columns that the box touches, in C order."""
        return [FIELD % place for place in product(*map(range, box.start[:3], box.stop[:3]))]

    def _key(self, chunk: int) -> bytes:
        return self.base + KEY % chunk
