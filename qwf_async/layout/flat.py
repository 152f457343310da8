"""Layout flat: one hash, one field a point, so that any client finds a point with HGET."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedData
from ..lattice.grid import Box, Order, Shape3, Shape4
from ..lattice.plan import BoxPlan, Chunk, Plan
from ..wire import text10
from ..wire.batch import Batch, Buffer, Part
from ..wire.change import set_fields
from ..wire.codec import (
    CODECS,
    binary_dtype,
    damage,
    is_value,
    is_whole,
    joined,
    max_bytes,
    mean_bytes,
)
from ..wire.fetch import FETCH_POINTS, Fetch
from ..wire.field_names import FIELD, blocks, field_name
from ..wire.known_replies import KnownReplies
from ..wire.numbered_texts import NumberedTexts
from ..wire.point_records import Run, name_runs, point_runs
from ..wire.resp import bulk, head, hset
from ..wire.slab import Slabs
from ..wire.string_form import IN_RESP
from .base import Counts, Probe
from .hash_memory import Server, hash_bytes, mean_digits

FIELDS_A_REQUEST: Final = 512
"""Fields in one HSET: from about 500 on a request's own cost no longer shows (24 to 60 KB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Field `x{x}_y{y}_z{z}_t{t}` of the key `{base}:s0` holds one value of the codec."""

    base: bytes
    codec: str
    shape: Shape4
    _slabs: Slabs = field(default_factory=Slabs, repr=False, compare=False)

    key_ending: ClassVar[bytes] = b":s0"
    codecs: ClassVar[Sequence[str]] = CODECS
    one_hash: ClassVar[bool] = True
    listpack_fields: ClassVar[int] = 0
    zarr_chunks: ClassVar[bool] = False

    @classmethod
    def of(cls, *, base: bytes, codec: str, shape: Shape4, tile: Shape3 | None, by_restore: bool) -> Flat:
        return cls(base=base, codec=codec, shape=shape)

    @classmethod
    def default_tile(cls, shape: Shape4) -> None:
        return None

    @classmethod
    def probe(cls, base: bytes, codec: str) -> Probe | None:
        return None

    @property
    def key(self) -> bytes:
        return self.base + self.key_ending

    @property
    def grain(self) -> Shape4:
        return (1, 1, 1, 1)

    @property
    def field_bytes(self) -> int:
        return max_bytes(self.codec)

    @property
    def counts(self) -> Counts:
        return Counts(keys=1, fields=math.prod(self.shape))

    def plan(self, order: Order) -> Plan:
        return BoxPlan.cut(self.shape, order=order)

    def fits(self, plan: Plan) -> bool:
        return isinstance(plan, BoxPlan)

    def memory(self, server: Server, *, listpacks: bool, peak: bool) -> int:
        name = len(FIELD.replace(b"%d", b"")) + sum(map(mean_digits, self.shape))
        return hash_bytes(self.counts.fields, name, mean_bytes(self.codec), server=server, peak=peak)

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        runs, checksum = point_runs(chunk.box, values, self.codec, IN_RESP, self._slabs)
        requests, buffers = _requests(partial(hset, self.key), runs, chunk.box.points, strings=2)
        part = Part(key=self.key, requests=requests, buffers=buffers)
        return Batch(
            chunk=chunk.number,
            points=chunk.points,
            parts=(part,),
            digest=checksum,
            weight=weight,
            values=values,
        )

    def marks(self, chunk: Chunk) -> NDArray[np.int64]:
        points, done = [], 0
        for block in blocks(
            chunk.box
        ):  # requests are cut from the records of all blocks, one after the other
            numbers = np.arange(-done % FIELDS_A_REQUEST, block.points, FIELDS_A_REQUEST)
            points.append(np.stack(np.unravel_index(numbers, block.shape), axis=1) + block.start)
            done += block.points
        return np.concatenate(points)

    def changes(self, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        runs, _ = point_runs(box, values, self.codec, IN_RESP, self._slabs)
        requests, buffers = _requests(partial(set_fields, self.key), runs, box.points, strings=2)
        return (Part(key=self.key, requests=requests, buffers=buffers),)

    def keys(self) -> Iterator[bytes]:
        yield self.key

    def requests(self, box: Box) -> Sequence[Part]:
        if box.points == 1:  # at a tenth of the cost
            t, x, y, z = box.start
            request = head(b"HMGET", self.key, 1) + bulk(field_name(x, y, z, t))
            return (Part(key=self.key, requests=1, buffers=(request,), fields=(1,)),)
        runs = name_runs(box, IN_RESP, self._slabs)
        count, buffers = _requests(partial(head, b"HMGET", self.key), runs, box.points, strings=1)
        fields = [FIELDS_A_REQUEST] * (count - 1) + [box.points - FIELDS_A_REQUEST * (count - 1)]
        return (Part(key=self.key, requests=count, buffers=buffers, fields=fields),)

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        dtype = binary_dtype(self.codec)
        stored = list(chain.from_iterable(replies))
        if len(stored) == 1 and dtype is not None and is_value(stored[0], dtype.itemsize):
            return np.frombuffer(stored[0], dtype).reshape(box.shape)
        values = np.empty(box.shape, dtype or np.complex128)
        begin = 0
        for block in blocks(box):
            texts = stored[begin : begin + block.points]
            begin += block.points
            if dtype is not None:
                data = joined(texts, dtype.itemsize)
                if data is None:
                    raise self._damage(block, texts)
                values[block.within(box)] = np.frombuffer(data, dtype).reshape(block.shape)
                continue
            try:
                values[block.within(box)] = text10.decode(text10.Texts.of(texts)).reshape(block.shape)
            except ValueError as error:
                raise self._damage(block, texts) from error
        return values

    def whole(self, box: Box) -> KnownReplies | None:
        return None

    def fetches(self, points: NDArray[np.int64]) -> Iterator[Fetch]:
        for start in range(0, len(points), FETCH_POINTS):
            t, x, y, z = points[start : start + FETCH_POINTS].T
            full, rest = divmod(len(t), FIELDS_A_REQUEST)
            counts = np.array([FIELDS_A_REQUEST] * full + [rest] * (rest > 0))
            yield Fetch(
                keys=NumberedTexts(parts=(self.key,), count=len(counts)),
                fields=NumberedTexts.of(FIELD, x, y, z, t),
                counts=counts,
                codec=self.codec,
                held=1,
                rows=np.arange(start, start + len(t)),
                among=np.arange(len(t)),
                inside=0,
            )

    def _damage(self, block: Box, values: Sequence[Any]) -> DamagedData:
        """The error that names the first value of a block that is missing or of the wrong form."""
        number = next(n for n, value in enumerate(values) if not is_whole(self.codec, value))
        place = np.unravel_index(number, block.shape)
        t, x, y, z = (int(p) + start for p, start in zip(place, block.start, strict=True))
        return damage(self.key, field_name(x, y, z, t), values[number], f"that are no {self.codec}")


def _requests(
    begin: Callable[[int], bytes], runs: Iterable[Run], points: int, *, strings: int
) -> tuple[int, list[Buffer]]:
    """The number of requests and their buffers, cut from the runs without copying.

    A request is what `begin` makes of its number of strings, and then FIELDS_A_REQUEST records of
    `strings` strings each.
    """
    buffers: list[Buffer] = []
    requests, room = 0, 0
    for run in runs:
        done, start = 0, 0
        while done < len(run.ends):
            if room == 0:
                room = min(FIELDS_A_REQUEST, points)
                points -= room
                requests += 1
                buffers.append(begin(strings * room))
            taken = min(room, len(run.ends) - done)
            done, room = done + taken, room - taken
            stop = int(run.ends[done - 1])
            buffers.append(run.data[start:stop])
            start = stop
    return requests, buffers
