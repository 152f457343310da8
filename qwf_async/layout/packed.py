"""Layout packed: buckets of 128 points, each a hash that stays a listpack, at a quarter of flat's memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedData
from ..lattice.grid import Box, Order, Shape3, Shape4, shape4
from ..lattice.plan import Chunk, Plan, RangePlan, c_index, c_indices
from ..wire.arena import Arena
from ..wire.batch import Batch, Part, byte_view
from ..wire.buckets import BUCKET, FIELD, hset_template, requests, restore_template
from ..wire.change import pairs, set_fields
from ..wire.codec import binary_dtype, damage, digest, is_value, joined, max_bytes
from ..wire.fetch import FETCH_POINTS, Fetch, grouped
from ..wire.known_replies import BucketReplies, KnownReplies
from ..wire.numbered_texts import NumberedTexts, of_keys
from ..wire.resp import bulk, head
from .base import Counts, Parameters, Place, Probe
from .hash_memory import KEY_BYTES, Server, block_bytes, small_table_bytes

KEY: Final = b"%d}:b%d"
"""What the key of a bucket ends in: the number of its chunk, and its own."""

WHOLE_FROM: Final = 64
"""Points from which on it is asked whether a box is better read by whole buckets."""

_NAMES: Final = tuple(bulk(FIELD % number) for number in range(BUCKET))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Point i of the C order is the field `i % 128` of the key `{base}{g}}:b{i // 128}`.

    The chunk of the point is number g of the plan: all buckets of a chunk are a group. With
    `by_restore` the buckets are sent as ready-made listpacks, which the server takes over as they
    are; else as HSET. What is stored is the same.
    """

    base: bytes
    codec: str
    plan: Plan
    by_restore: bool = False
    arena: Arena = field(default_factory=Arena, repr=False, compare=False)

    key_ending: ClassVar[bytes] = KEY
    codecs: ClassVar[Sequence[str]] = ("c16", "c8")
    slabs: ClassVar[bool] = False
    one_hash: ClassVar[bool] = False
    listpack_fields: ClassVar[int] = BUCKET
    zarr_chunks: ClassVar[bool] = False

    @classmethod
    def of(cls, form: Parameters, base: bytes, *, by_restore: bool, arena: Arena) -> Packed:
        return cls(base=base, codec=form.codec, plan=form.plan, by_restore=by_restore, arena=arena)

    @classmethod
    def default_tile(cls, shape: Shape4) -> None:
        return None

    @classmethod
    def cut(cls, shape: Shape4, order: Order, tile: Shape3 | None) -> Plan:
        return RangePlan.cut(shape, unit=BUCKET)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(binary_dtype(self.codec))

    @property
    def grain(self) -> Shape4:
        return (1, 1, 1, 1)

    @property
    def field_bytes(self) -> int:
        return max_bytes(self.codec)

    @property
    def counts(self) -> Counts:
        points = math.prod(self.shape)
        return Counts(keys=-(-points // BUCKET), fields=points)

    @property
    def shape(self) -> Shape4:
        return self.plan.shape

    @property
    def fits(self) -> bool:
        plan = self.plan
        return isinstance(plan, RangePlan) and (plan.length % BUCKET == 0 or len(plan) == 1)

    def memory(self, server: Server, *, listpacks: bool, peak: bool) -> int:
        buckets, value = self.counts.keys, self.field_bytes
        if not listpacks:
            return buckets * small_table_bytes(BUCKET, value, server)
        return buckets * (block_bytes(7 + BUCKET * (2 + value + 2), server) + KEY_BYTES)

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        first = c_index(self.shape, chunk.boxes[0].start) // BUCKET
        prefix = self.base + KEY.removesuffix(b"%d") % chunk.number
        template = restore_template if self.by_restore else hset_template
        return Batch(
            chunk=chunk.number,
            points=chunk.points,
            parts=list(requests(prefix, first, values, template, self.arena)),
            digest=digest(self.codec, values),
            weight=weight,
            values=values,
            as_hset=partial(replace(self, by_restore=False).encode, chunk, values, weight)
            if self.by_restore
            else None,
        )

    def probe(self) -> Probe | None:
        plan = self.cut((1, BUCKET, 1, 1), "C", None)
        values = np.arange(BUCKET).astype(self.dtype) * (1 - 2j)
        (part,) = replace(self, plan=plan, by_restore=True).encode(plan[0], values, 0.0).parts
        fields = {FIELD % place: value.tobytes() for place, value in enumerate(values)}
        return Probe(part=part, fields=fields, listpack=True, largest=part.nbytes)

    def marks(self, chunk: Chunk) -> NDArray[np.int64]:
        first = c_index(self.shape, chunk.boxes[0].start)
        numbers = np.arange(first, first + chunk.points, BUCKET)
        return np.stack(np.unravel_index(numbers, self.shape), axis=1)

    def changes(self, chunk: int, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        numbers, begins, fields = self._places(box)
        data, ends = pairs(fields, values.reshape(-1))
        view, stops, start = byte_view(data), [*begins[1:], len(fields)], 0
        parts = []
        for number, begin, stop in zip(numbers, begins, stops, strict=True):
            key, end = self._key(number), int(ends[stop - 1])
            buffers = (set_fields(key, chunk, 2 * (stop - begin)), view[start:end])
            parts.append(Part(key=key, requests=1, buffers=buffers))
            start = end
        return parts

    @property
    def in_line(self) -> Packed:
        plan = self.plan
        assert isinstance(plan, RangePlan)  # noqa: S101 # for the type checker
        return replace(self, plan=replace(plan, shape=(1, 1, 1, math.prod(plan.shape))))

    def keys(self, group: int) -> Iterator[bytes]:
        first = group * self._chunk_buckets
        return map(self._key, range(first, min(first + self._chunk_buckets, self.counts.keys)))

    def place(self, point: Shape4) -> Place:
        number, field = divmod(c_index(self.shape, point), BUCKET)
        return Place(key=self._key(number), field=FIELD % field, offset=0, nbytes=self.dtype.itemsize)

    def requests(self, box: Box) -> Sequence[Part]:
        if box.points == 1:
            number, field = divmod(c_index(self.shape, box.start), BUCKET)
            key = self._key(number)
            request = head(b"HMGET", key, 1) + _NAMES[field]
            return (Part(key=key, requests=1, buffers=(request,), fields=(1,)),)
        numbers, begins, fields = self._places(box)
        parts = []
        for number, begin, end in zip(numbers, begins, [*begins[1:], len(fields)], strict=True):
            key = self._key(number)
            names = b"".join(_NAMES[field] for field in fields[begin:end].tolist())
            request = head(b"HMGET", key, end - begin) + names
            parts.append(Part(key=key, requests=1, buffers=(request,), fields=(end - begin,)))
        return parts

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        stored = [value for reply in replies for value in reply]
        data = joined(stored, self.dtype.itemsize)
        if data is None:
            raise self._damage(box, stored)
        return np.frombuffer(data, self.dtype).reshape(box.shape)

    def whole(self, box: Box, *, dumped: bool) -> KnownReplies | None:
        if box.points < WHOLE_FROM:
            return None
        numbers, places = self._buckets(box)
        if 2 * box.points < BUCKET * len(numbers):  # more than half of what came would be thrown away
            return None
        points = math.prod(self.shape)
        rest = points % BUCKET if numbers[-1] == points // BUCKET else 0
        full = BucketReplies(count=len(numbers) - (rest > 0), points=BUCKET, dtype=self.dtype, dumped=dumped)
        partial = BucketReplies(count=int(rest > 0), points=rest or BUCKET, dtype=self.dtype, dumped=dumped)
        return KnownReplies(
            request=of_keys(b"DUMP" if dumped else b"HGETALL", self._keys(numbers)),
            full=full,
            partial=partial,
            data=self.arena.take(full.nbytes + partial.nbytes),
            places=places,
        )

    def fetches(self, points: NDArray[np.int64]) -> Iterator[Fetch]:
        places = np.ravel_multi_index(tuple(points.T), self.shape)
        for rows, distinct, among in grouped(places, FETCH_POINTS):
            buckets, fields = np.divmod(distinct, BUCKET)
            begins = np.flatnonzero(np.diff(buckets, prepend=-1))
            yield Fetch(
                keys=self._keys(buckets[begins]),
                fields=NumberedTexts.of(FIELD, fields),
                counts=np.diff(begins, append=len(fields)),
                codec=self.codec,
                held=1,
                rows=rows,
                among=among,
                inside=0,
            )

    def _places(self, box: Box) -> tuple[list[int], list[int], NDArray[np.int64]]:
        """The buckets that a box touches, where the points of each begin, and the field of each point, in C order."""
        buckets, fields = np.divmod(c_indices(self.shape, box), BUCKET)
        begins = np.flatnonzero(np.diff(buckets, prepend=-1))
        return buckets[begins].tolist(), begins.tolist(), fields

    @property
    def _chunk_buckets(self) -> int:
        """Buckets of a chunk, but for the last."""
        return -(-self.plan.largest // BUCKET)

    def _buckets(self, box: Box) -> tuple[NDArray[np.int64], NDArray[np.int64] | slice]:
        """The buckets that a box touches, and where its points are among those of all of them, in C order."""
        first = c_index(self.shape, box.start)
        stop = c_index(self.shape, shape4(end - 1 for end in box.stop)) + 1
        if stop - first == box.points:  # no others lie between them
            begin = first % BUCKET
            return np.arange(first // BUCKET, -(-stop // BUCKET)), slice(begin, begin + box.points)
        buckets, fields = np.divmod(c_indices(self.shape, box), BUCKET)
        begins = np.diff(buckets, prepend=-1) != 0
        return buckets[begins], (np.cumsum(begins) - 1) * BUCKET + fields

    def _keys(self, numbers: NDArray[np.int64]) -> NumberedTexts:
        return NumberedTexts.of(KEY, numbers // self._chunk_buckets, numbers, after=self.base)

    def _key(self, number: int) -> bytes:
        return self.base + KEY % (number // self._chunk_buckets, number)

    def _damage(self, box: Box, stored: Sequence[Any]) -> DamagedData:
        """The error that names the first value that is missing or of the wrong length."""
        number = next(n for n, value in enumerate(stored) if not is_value(value, self.dtype.itemsize))
        bucket, field = divmod(int(c_indices(self.shape, box)[number]), BUCKET)
        return damage(self._key(bucket), FIELD % field, stored[number], f"that are no {self.codec}")
