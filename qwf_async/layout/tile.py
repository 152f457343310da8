"""Layout tile: blocks of points as Zarr v3 chunks, a block a field, at memory-copy speed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, pairwise, product
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedData
from ..lattice import plan
from ..lattice.grid import Box, Order, Shape3, Shape4, shape4
from ..lattice.plan import BoxPlan, Chunk, Plan
from ..wire.arena import Arena
from ..wire.batch import Batch, Buffer, Part, byte_view
from ..wire.change import cut_place, set_fields, set_in_tiles
from ..wire.codec import binary_dtype, damage, is_value, joined
from ..wire.fetch import FETCH_BYTES, Fetch, grouped, request_begins
from ..wire.numbered_texts import NumberedTexts
from ..wire.resp import bulk, head
from ..wire.tile_replies import TileReplies, TileReply
from ..wire.tiles import FIELD, TileRequests, blocks_alike, first_tiles, hmget_tiles
from ..wire.tiling import lines_of, put, take_box
from .base import Counts, Parameters, Place, Probe
from .hash_memory import KEY_BYTES, Server, block_bytes

KEY: Final = b"%d}:t"
"""What the key of a hash of tiles ends in: the number of its chunk."""

TILE_POINTS: Final = 512
"""Points in a tile: 8 KiB, small enough to fetch for one point, large enough for memory-copy speed."""

CHUNK_POINTS: Final = 4 * plan.CHUNK_POINTS
"""Points in a chunk, about: with fewer, the work per chunk would show in the rate (measured: −20 %)."""

REQUEST_BYTES: Final = 65_536
"""Bytes of values in one request, about."""

FIELD_BYTES: Final = 40
"""Bytes of a field of a tile beside its value: name, headers and its share of the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Field `c/{t}/{i}/{j}/{k}` of the key `{base}{g}}:t` holds the tile (i, j, k) of the time t.

    The chunk of the tile is number g of the plan: all tiles of a chunk are in one hash. A tile is
    `tile` points along x, y, z in C order; at the edge of the grid it is padded with zeros. That
    is a chunk of a Zarr v3 array [t, x, y, z] with chunk shape (1, *tile), the codec `bytes`
    (little-endian) and the default chunk key encoding.
    Source: Zarr core specification 3.0, "Regular grids" and "Chunk key encodings".
    """

    base: bytes
    codec: str
    plan: Plan
    tile: Shape3
    arena: Arena = field(default_factory=Arena, repr=False, compare=False)

    key_ending: ClassVar[bytes] = KEY
    codecs: ClassVar[Sequence[str]] = ("c16", "c8")
    slabs: ClassVar[bool] = False
    one_hash: ClassVar[bool] = False
    listpack_fields: ClassVar[int] = 0
    zarr_chunks: ClassVar[bool] = True

    @classmethod
    def of(cls, form: Parameters, base: bytes, *, by_restore: bool, arena: Arena) -> Tile:
        tile = form.tile or cls.default_tile(form.plan.shape)
        return cls(base=base, codec=form.codec, plan=form.plan, tile=tile, arena=arena)

    @classmethod
    def default_tile(cls, shape: Shape4) -> Shape3:
        """8×8×8 points, clipped to the shape, and grown along the other axes where it is thinner."""
        tile = [min(8, size) for size in shape[1:]]
        while math.prod(tile) < TILE_POINTS:
            room = [axis for axis in range(3) if tile[axis] < shape[axis + 1]]
            if not room:
                break
            axis = min(room, key=lambda a: tile[a])
            tile[axis] = min(2 * tile[axis], shape[axis + 1])
        return tile[0], tile[1], tile[2]

    @classmethod
    def cut(cls, shape: Shape4, order: Order, tile: Shape3 | None) -> Plan:
        unit = (1, *(tile or cls.default_tile(shape)))
        return BoxPlan.cut(shape, order=order, points=CHUNK_POINTS, unit=unit)

    def probe(self) -> Probe | None:
        return None

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(binary_dtype(self.codec))

    @property
    def nbytes(self) -> int:
        """Bytes of a stored tile."""
        return math.prod(self.tile) * self.dtype.itemsize

    @property
    def grain(self) -> Shape4:
        return (1, *self.tile)

    @property
    def field_bytes(self) -> int:
        return self.nbytes

    @property
    def counts(self) -> Counts:
        return Counts(keys=len(self.plan), fields=math.prod(self._tile_counts))

    @property
    def shape(self) -> Shape4:
        return self.plan.shape

    @property
    def fits(self) -> bool:
        return isinstance(self.plan, BoxPlan) and all(
            piece % unit == 0 or piece == size
            for piece, unit, size in zip(self.plan.chunk, self.grain, self.shape, strict=True)
        )

    def memory(self, server: Server, *, listpacks: bool, peak: bool) -> int:
        tile = block_bytes(self.nbytes + FIELD_BYTES, server) + FIELD_BYTES
        return self.counts.keys * KEY_BYTES + self.counts.fields * tile

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        key, tiles = self._key(chunk.number), self._tiles(chunk.box)
        requests = TileRequests.of(key, tiles, self.nbytes, self.arena)
        targets = [
            (
                block.from_corner(tiles),
                lines_of(requests.memory, first, stride, block.shape, self.tile, values.itemsize),
            )
            for block, first, stride in requests.places
        ]
        return Batch(
            chunk=chunk.number,
            points=chunk.points,
            parts=(Part(key=key, requests=requests.count, buffers=requests.buffers),),
            digest=put(values, self.tile, targets),
            weight=weight,
            values=values,
        )

    def marks(self, chunk: Chunk) -> NDArray[np.int64]:
        firsts = np.array(list(first_tiles(self._tiles(chunk.box), self.nbytes)), np.int64)
        firsts *= np.array(self.grain)
        return firsts

    def changes(self, chunk: int, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        parts = []
        for block in self._blocks_cut_alike(box):
            (nt, ni, nj, nk), itemsize = self._tiles(block).shape, self.dtype.itemsize
            _, x, y, z = block.shape
            a, b, c = x // ni, y // nj, z // nk
            # [t, i·a, j·b, k·c] = [t, i, a, j, b, k, c] → [t, i, j, k, a, b, c]: one tile after the other.
            cut = values[block.within(box)].reshape(nt, ni, a, nj, b, nk, c).transpose(0, 1, 3, 5, 2, 4, 6)
            view, size = byte_view(np.ascontiguousarray(cut)), a * b * c * itemsize
            _, i, j, k = (n % g for n, g in zip(block.start, self.grain, strict=True))
            begin: Callable[[bytes, int, int], bytes] = set_fields  # whole tiles are replaced
            if (a, b, c) != self.tile:
                begin = partial(set_in_tiles, place=cut_place(self.tile, (i, j, k), (a, b, c), itemsize))
            key, fields = self._key(chunk), self._fields(block)
            pieces = [view[n * size : (n + 1) * size] for n in range(len(fields))]
            parts.append(self._filled(key, partial(begin, key, chunk), fields, pieces))
        return parts

    @property
    def in_line(self) -> None:
        return None

    def keys(self, group: int) -> Iterator[bytes]:
        yield self._key(group)

    def place(self, point: Shape4) -> Place:
        (t, x, y, z), (a, b, c) = point, self.tile
        number = (x % a * b + y % b) * c + z % c  # of the point in its tile
        return Place(
            key=self._key(self.plan.holding(point)),
            field=FIELD % (t, x // a, y // b, z // c),
            offset=number * self.dtype.itemsize,
            nbytes=self.dtype.itemsize,
        )

    def requests(self, box: Box) -> Sequence[Part]:
        if box.points == 1:  # at a fifth of the cost
            (t, x, y, z), (a, b, c) = box.start, self.tile
            key = self._key(self.plan.holding(box.start))
            request = head(b"HMGET", key, 1) + bulk(FIELD % (t, x // a, y // b, z // c))
            return (Part(key=key, requests=1, buffers=(request,), fields=(1,)),)
        parts = []
        limit = self.tiles_a_request
        for chunk, (piece,) in self.plan.touched(box):
            key, fields = self._key(chunk), self._fields(piece)
            groups = [fields[n : n + limit] for n in range(0, len(fields), limit)]
            buffers = [head(b"HMGET", key, len(group)) + b"".join(map(bulk, group)) for group in groups]
            counts = tuple(map(len, groups))
            parts.append(Part(key=key, requests=len(groups), buffers=buffers, fields=counts))
        return parts

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        fields = list(chain.from_iterable(replies))
        if len(fields) == 1 and box.points == 1 and is_value(fields[0], self.nbytes):
            (_, x, y, z), (a, b, c) = box.start, self.tile
            number, dtype = (x % a * b + y % b) * c + z % c, self.dtype
            value: NDArray[Any] = np.frombuffer(fields[0], dtype, 1, number * dtype.itemsize)
            return value.reshape(box.shape)
        data = joined(fields, self.nbytes)
        if data is None:
            raise self._damage(box, fields)
        values, come, first = np.empty(box.shape, self.dtype), np.frombuffer(data, np.uint8), 0
        for _, (piece,) in self.plan.touched(box):
            tiles = self._tiles(piece)
            lines = lines_of(come, first, self.nbytes, tiles.shape, self.tile, self.dtype.itemsize)
            take_box(lines, tiles, self.tile, piece, values[piece.within(box)])
            first += tiles.points * self.nbytes
        return values

    def whole(self, box: Box, *, dumped: bool) -> TileReplies | None:
        if box.points == 1:
            return None
        requests, replies, end = [], [], 0
        for chunk, (piece,) in self.plan.touched(box):
            for block in blocks_alike(self._tiles(piece)):
                requests.append(hmget_tiles(self._key(chunk), block))
                replies.append(TileReply.of(block, self.nbytes, start=end))
                end = replies[-1].stop
        return TileReplies(
            request=b"".join(requests), replies=replies, box=box, tile=self.tile, data=self.arena.take(end)
        )

    def fetches(self, points: NDArray[np.int64]) -> Iterator[Fetch]:
        tiles, within = np.divmod(points, np.array(self.grain))
        counts = (len(self.plan), *self._tile_counts)  # the chunk comes first, so that its tiles are together
        places = np.ravel_multi_index((self._boxes.holding_each(points), *tiles.T), counts)
        offsets = np.ravel_multi_index(tuple(within[:, 1:].T), self.tile)
        for rows, distinct, among in grouped(places, max(1, FETCH_BYTES // self.nbytes)):
            chunks, t, i, j, k = np.unravel_index(distinct, counts)
            begins = request_begins(chunks, self.tiles_a_request)
            yield Fetch(
                keys=NumberedTexts.of(KEY, chunks[begins], after=self.base),
                fields=NumberedTexts.of(FIELD, t, i, j, k),
                counts=np.diff(begins, append=len(distinct)),
                codec=self.codec,
                held=math.prod(self.tile),
                rows=rows,
                among=among,
                inside=offsets[rows],
            )

    @property
    def _boxes(self) -> BoxPlan:
        if not isinstance(self.plan, BoxPlan):
            raise TypeError("a layout of tiles has a plan of boxes")
        return self.plan

    @property
    def _tile_counts(self) -> Shape4:
        """Tiles of the grid along t, x, y, z."""
        return shape4(-(-n // a) for n, a in zip(self.shape, self.grain, strict=True))

    def _tiles(self, box: Box) -> Box:
        """The tiles that the box touches, as a box of tiles."""
        start = shape4(n // g for n, g in zip(box.start, self.grain, strict=True))
        stop = shape4(-(-n // g) for n, g in zip(box.stop, self.grain, strict=True))
        return Box(start=start, stop=stop)

    def _blocks_cut_alike(self, box: Box) -> Iterator[Box]:
        """The box in at most 27 blocks, each of which takes the same part of every tile that it touches."""
        spans = []
        for start, stop, grain in zip(box.start, box.stop, self.grain, strict=True):
            edges = {start, stop} | {
                n for n in (-(-start // grain) * grain, stop // grain * grain) if start < n < stop
            }
            spans.append(list(pairwise(sorted(edges))))
        for ends in product(*spans):
            yield Box(start=shape4(a for a, _ in ends), stop=shape4(b for _, b in ends))

    def _fields(self, box: Box) -> list[bytes]:
        """The fields of the tiles that the box touches, in C order."""
        tiles = self._tiles(box)
        return [FIELD % place for place in product(*map(range, tiles.start, tiles.stop))]

    def _key(self, chunk: int) -> bytes:
        return self.base + KEY % chunk

    @property
    def tiles_a_request(self) -> int:
        """The most tiles in one request."""
        return max(1, REQUEST_BYTES // self.nbytes)

    def _filled(
        self, key: bytes, begin: Callable[[int], bytes], fields: Sequence[bytes], tiles: Sequence[memoryview]
    ) -> Part:
        """Requests that begin with `begin` and have fields and the bytes for each; all tiles have one length."""
        buffers: list[Buffer] = []
        limit = self.tiles_a_request
        size = b"$%d\r\n" % len(tiles[0])
        for start in range(0, len(fields), limit):
            group = fields[start : start + limit]
            before = begin(2 * len(group))
            for name, tile in zip(group, tiles[start : start + limit], strict=True):
                buffers += (before + bulk(name) + size, tile)
                before = b"\r\n"
            buffers.append(b"\r\n")
        return Part(key=key, requests=-(-len(fields) // limit), buffers=buffers)

    def _damage(self, box: Box, values: Sequence[Any]) -> DamagedData:
        """The error that names the first tile that is missing or of the wrong length."""
        number = next(n for n, value in enumerate(values) if not is_value(value, self.nbytes))
        pieces = ((self._key(chunk), self._fields(piece)) for chunk, (piece,) in self.plan.touched(box))
        names = [(key, name) for key, fields in pieces for name in fields]
        return damage(*names[number], values[number], f"instead of {self.nbytes}")
