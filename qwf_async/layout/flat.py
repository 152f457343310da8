"""Layout flat: one field a point, and a hash for each chunk, so that any client finds a point with HGET."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedData
from ..lattice.grid import Box, Order, Shape3, Shape4
from ..lattice.plan import BoxPlan, Chunk, Plan
from ..wire import text10
from ..wire.arena import Arena
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
    stored_dtype,
)
from ..wire.dumped_slabs import MAX_NAME, DumpedSlabs, SlabDump
from ..wire.fetch import FETCH_POINTS, Fetch, request_begins
from ..wire.field_names import FIELD, blocks, field_name
from ..wire.hash_dump import DumpedBox
from ..wire.hash_payload import restored_box
from ..wire.numbered_texts import NumberedTexts
from ..wire.point_records import Run, name_runs, point_runs
from ..wire.resp import bulk, head, hset
from ..wire.string_form import IN_RESP
from .base import Counts, Parameters, Place, Probe
from .hash_memory import Server, hash_bytes, mean_digits

FIELDS_A_REQUEST: Final = 512
"""Fields in one HSET: from about 500 on a request's own cost no longer shows (24 to 60 KB)."""


KEY: Final = b"%d}:s"
"""What the key of a hash ends in: the number of its group."""

CHUNK_POINTS: Final = 16_384
"""Points of a chunk, about. One hash of millions is written at half the speed; a request of more holds others up."""

WHOLE_SHARE: Final = 2 / 3
"""Share of the points of hashes from which on they are read whole. Valkey gives 10 M points per CPU-second by DUMP and
5 by HMGET, Redis 7.0 4.5 and 4.2, and the client 7 and 5."""

WHOLE_FROM: Final = 512
"""Points of a hash that is read whole are more: a smaller one may be a listpack (the default of Valkey 9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Field `x{x}_y{y}_z{z}_t{t}` of the key `{base}{g}}:s` holds one value of the codec.

    The chunk of the point is number g of the plan. With `one_hash` g is 0 for all points. With
    `by_restore` the hash of a chunk is sent ready-made; else as HSET. What is stored is the same.
    """

    base: bytes
    codec: str
    plan: Plan
    one_hash: bool = False
    by_restore: bool = False
    arena: Arena = field(default_factory=Arena, repr=False, compare=False)

    key_ending: ClassVar[bytes] = KEY
    codecs: ClassVar[Sequence[str]] = CODECS
    slabs: ClassVar[bool] = True
    listpack_fields: ClassVar[int] = 0
    zarr_chunks: ClassVar[bool] = False

    @classmethod
    def of(cls, form: Parameters, base: bytes, *, by_restore: bool, arena: Arena) -> Flat:
        one_hash = form.one_hash
        return cls(
            base=base,
            codec=form.codec,
            plan=form.plan,
            one_hash=one_hash,
            by_restore=by_restore and not one_hash,
            arena=arena,
        )

    @classmethod
    def default_tile(cls, shape: Shape4) -> None:
        return None

    @classmethod
    def cut(cls, shape: Shape4, order: Order, tile: Shape3 | None) -> Plan:
        return BoxPlan.cut(shape, order=order, points=CHUNK_POINTS)

    @property
    def grain(self) -> Shape4:
        return (1, 1, 1, 1)

    @property
    def field_bytes(self) -> int:
        return max_bytes(self.codec)

    @property
    def counts(self) -> Counts:
        points = math.prod(self.plan.shape)
        return Counts(keys=1 if self.one_hash else len(self.plan), fields=points)

    @property
    def fits(self) -> bool:
        return isinstance(self.plan, BoxPlan)

    def memory(self, server: Server, *, listpacks: bool, peak: bool) -> int:
        name = len(FIELD.replace(b"%d", b"")) + sum(map(mean_digits, self.plan.shape))
        sizes = {self.counts.fields: 1} if self.one_hash else self._plan.sizes
        return sum(
            number
            * hash_bytes(
                points, name, mean_bytes(self.codec), server=server, peak=peak, restored=self.by_restore
            )
            for points, number in sizes.items()
        )

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        key, box = self._key(chunk.number), chunk.box
        as_hset = None
        if self.by_restore:
            part, checksum = restored_box(key, box, values, self.codec, self.arena)
            as_hset = partial(replace(self, by_restore=False).encode, chunk, values, weight)
            if part.nbytes > self._largest_payload:
                return as_hset()
        else:
            runs, checksum = point_runs(box, values, self.codec, IN_RESP, self.arena)
            requests, buffers = _requests(partial(hset, key), runs, box.points, strings=2)
            part = Part(key=key, requests=requests, buffers=buffers)
        return Batch(
            chunk=chunk.number,
            points=chunk.points,
            parts=(part,),
            digest=checksum,
            weight=weight,
            values=values,
            as_hset=as_hset,
        )

    def probe(self) -> Probe | None:
        if self.one_hash:
            return None
        box = Box(start=(0, 0, 0, 0), stop=(1, 1, 1, 1))
        values = np.full(box.shape, 1 - 2j, stored_dtype(self.codec))
        part, _ = restored_box(self._key(0), box, values, self.codec, self.arena)
        texts = values if binary_dtype(self.codec) else text10.encode(values).data
        fields = {field_name(0, 0, 0, 0): texts.tobytes()}
        return Probe(part=part, fields=fields, listpack=False, largest=self._largest_payload)

    @property
    def _largest_payload(self) -> int:
        """Bytes of a RESTORE at most. Texts of numbers from 9e5 on are longer, and a chunk of them is sent by HSET."""
        t, x, y, z = (n - 1 for n in self.plan.shape)
        record = 2 + len(field_name(x, y, z, t)) + min(max_bytes(self.codec), text10.MAX_ORDINARY_BYTES)
        return 256 + self.plan.largest * record

    def marks(self, chunk: Chunk) -> NDArray[np.int64]:
        points, done = [], 0
        for block in blocks(
            chunk.box
        ):  # requests are cut from the records of all blocks, one after the other
            numbers = np.arange(-done % FIELDS_A_REQUEST, block.points, FIELDS_A_REQUEST)
            points.append(np.stack(np.unravel_index(numbers, block.shape), axis=1) + block.start)
            done += block.points
        return np.concatenate(points)

    def changes(self, chunk: int, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        key = self._key(chunk)
        begin = partial(set_fields, key, chunk)
        runs, _ = point_runs(box, values, self.codec, IN_RESP, self.arena)
        requests, buffers = _requests(begin, runs, box.points, strings=2)
        return (Part(key=key, requests=requests, buffers=buffers),)

    @property
    def in_line(self) -> None:
        return None

    def keys(self, group: int) -> Iterator[bytes]:
        yield self._key(group)

    def place(self, point: Shape4) -> Place:
        t, x, y, z = point
        dtype = binary_dtype(self.codec)
        return Place(
            key=self._key(self.plan.holding(point)),
            field=field_name(x, y, z, t),
            offset=0,
            nbytes=dtype and dtype.itemsize,
        )

    def requests(self, box: Box) -> Sequence[Part]:
        if box.points == 1:  # at a tenth of the cost
            t, x, y, z = box.start
            key = self._key(self.plan.holding(box.start))
            request = head(b"HMGET", key, 1) + bulk(field_name(x, y, z, t))
            return (Part(key=key, requests=1, buffers=(request,), fields=(1,)),)
        parts = []
        for chunk, piece in self._pieces(box):
            key = self._key(chunk)
            runs = name_runs(piece, IN_RESP, self.arena)
            count, buffers = _requests(partial(head, b"HMGET", key), runs, piece.points, strings=1)
            fields = [FIELDS_A_REQUEST] * (count - 1) + [piece.points - FIELDS_A_REQUEST * (count - 1)]
            parts.append(Part(key=key, requests=count, buffers=buffers, fields=fields))
        return parts

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        dtype = binary_dtype(self.codec)
        stored = list(chain.from_iterable(replies))
        if len(stored) == 1 and dtype is not None and is_value(stored[0], dtype.itemsize):
            return np.frombuffer(stored[0], dtype).reshape(box.shape)
        values = np.empty(box.shape, dtype or np.complex128)
        begin = 0
        for block in (block for _, piece in self._pieces(box) for block in blocks(piece)):
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

    def whole(self, box: Box, *, dumped: bool) -> DumpedSlabs | None:
        dtype = binary_dtype(self.codec)
        t, x, y, z = (n - 1 for n in box.stop)
        if (
            not dumped
            or self.one_hash
            or dtype is None
            or box.points <= WHOLE_FROM
            or len(field_name(x, y, z, t)) > MAX_NAME
        ):
            return None
        held = [(chunk, self.plan[chunk].boxes[0], piece) for chunk, piece in self._pieces(box)]
        sizes = [whole.points for _, whole, _ in held]
        if min(sizes) <= WHOLE_FROM or box.points < WHOLE_SHARE * sum(sizes):
            return None
        slabs = [
            SlabDump(key=self._key(chunk), dump=DumpedBox.of(whole, dtype), part=piece)
            for chunk, whole, piece in held
        ]
        return DumpedSlabs.of(box, slabs, self.arena)

    def fetches(self, points: NDArray[np.int64]) -> Iterator[Fetch]:
        chunks = self._plan.holding_each(points) * (not self.one_hash)
        order = np.argsort(chunks, kind="stable")
        for start in range(0, len(points), FETCH_POINTS):
            rows = order[start : start + FETCH_POINTS]
            t, x, y, z = points[rows].T
            begins = request_begins(chunks[rows], FIELDS_A_REQUEST)
            yield Fetch(
                keys=self._keys(chunks[rows][begins]),
                fields=NumberedTexts.of(FIELD, x, y, z, t),
                counts=np.diff(begins, append=len(t)),
                codec=self.codec,
                held=1,
                rows=rows,
                among=np.arange(len(t)),
                inside=0,
            )

    @property
    def _plan(self) -> BoxPlan:
        if not isinstance(self.plan, BoxPlan):
            raise TypeError("a flat layout has a plan of boxes")
        return self.plan

    def _key(self, chunk: int) -> bytes:
        """The hash that holds the points of the chunk of this number."""
        return self.base + KEY % (0 if self.one_hash else chunk)

    def _keys(self, groups: NDArray[np.int64]) -> NumberedTexts:
        """The hashes of some groups."""
        return NumberedTexts.of(KEY, groups, after=self.base)

    def _pieces(self, box: Box) -> Iterator[tuple[int, Box]]:
        """The parts of a box that lie in one hash each, and a chunk of that."""
        if self.one_hash:
            yield 0, box
            return
        for chunk, (piece,) in self._plan.touched(box):
            yield chunk, piece

    def _damage(self, block: Box, values: Sequence[Any]) -> DamagedData:
        """The error that names the first value of a block that is missing or of the wrong form."""
        number = next(n for n, value in enumerate(values) if not is_whole(self.codec, value))
        place = np.unravel_index(number, block.shape)
        t, x, y, z = (int(p) + start for p, start in zip(place, block.start, strict=True))
        key = self._key(self.plan.holding((t, x, y, z)))
        return damage(key, field_name(x, y, z, t), values[number], f"that are no {self.codec}")


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
