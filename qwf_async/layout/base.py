"""What a layout is: how a grid lies in hashes. Pure: layouts know grids and bytes, and no connections.

A layout is one class in one file, which keeps both promises: `Scheme` is what is known
before there are data, `Layout` adds what makes and reads the requests of one generation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box, Order, Shape3, Shape4
from ..lattice.plan import Chunk, Plan
from ..wire.arena import Arena
from ..wire.batch import Batch, Part
from ..wire.dumped_slabs import DumpedSlabs
from ..wire.fetch import Fetch
from ..wire.known_replies import KnownReplies
from ..wire.tile_replies import TileReplies
from .hash_memory import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many keys, and fields in all of them, the data of a wavefunction has."""

    keys: int
    fields: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the value of a point lies: `nbytes` bytes of a field, from `offset` on.

    `nbytes` is None for a codec whose values are text of any length: the whole field then.
    """

    key: bytes
    field: bytes
    offset: int
    nbytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One hash written by RESTORE, to try whether a server takes it: `part` sends it, `fields` is what it holds.

    listpack: whether the server must keep it as a listpack. largest: bytes of the largest payload
    that the layout sends by RESTORE.
    """

    part: Part
    fields: dict[bytes, bytes]
    listpack: bool
    largest: int


WholeHashes = KnownReplies | DumpedSlabs | TileReplies
"""Whole hashes to be read as bytes, of which much is known beforehand."""


class Parameters(Protocol):
    """What a layout is made from; `Form` has it.

    `tile` is None for a layout without tiles, `one_hash` false for one without `slabs`.
    """

    @property
    def codec(self) -> str: ...

    @property
    def plan(self) -> Plan: ...

    @property
    def tile(self) -> Shape3 | None: ...

    @property
    def one_hash(self) -> bool: ...


class Scheme(Protocol):
    """A layout on a grid, before there are data."""

    key_ending: ClassVar[bytes]
    """What every data key has after the base of its generation, with %d for numbers: that of the group, and others."""

    codecs: ClassVar[Sequence[str]]
    """The codecs whose values it can store."""

    slabs: ClassVar[bool]
    """Whether the points of a chunk may be any box, and all points may be in one hash."""

    listpack_fields: ClassVar[int]
    """Fields of a hash that must stay a listpack to be small, each of `field_bytes`; 0 if there is none such."""

    @property
    def one_hash(self) -> bool:
        """Whether all points are in one hash."""
        ...

    zarr_chunks: ClassVar[bool]
    """Whether a field is a chunk of a Zarr v3 array with chunks of shape `grain`, as the codec `bytes` writes it."""

    @classmethod
    def of(cls, form: Parameters, base: bytes, *, by_restore: bool, arena: Arena) -> Layout:
        """The layout of the generation whose keys begin with `base`.

        `by_restore` asks for RESTORE where the layout can be written so (`probe`). `arena` has the
        memory for what is encoded and for replies.
        """
        ...

    @classmethod
    def default_tile(cls, shape: Shape4) -> Shape3 | None:
        """The points along x, y, z of a tile, if nobody says how many; None if the layout has no tiles."""
        ...

    @classmethod
    def cut(cls, shape: Shape4, order: Order, tile: Shape3 | None) -> Plan:
        """The chunks of a grid, for a source that is read best in this order."""
        ...

    @property
    def codec(self) -> str: ...

    @property
    def plan(self) -> Plan:
        """The chunks of the grid."""
        ...

    @property
    def grain(self) -> Shape4:
        """The points [t, x, y, z] of one field: boxes cut at multiples of it are read without waste."""
        ...

    @property
    def field_bytes(self) -> int:
        """The most bytes that a field on the server has."""
        ...

    @property
    def counts(self) -> Counts:
        """Keys and fields of all data."""
        ...

    @property
    def fits(self) -> bool:
        """Whether no field is in two chunks of the plan, and `encode` takes the chunks."""
        ...

    def memory(self, server: Server, *, listpacks: bool, peak: bool) -> int:
        """Bytes that the data will take at most on a server.

        `listpacks` is false if the server's limits make hash tables of what should stay
        listpacks. With `peak`, the most at any moment while it is written; else in the end.
        """
        ...


class Layout(Scheme, Protocol):
    """One generation of one wavefunction in one layout."""

    @property
    def base(self) -> bytes:
        """The beginning of every key of the generation; the number of a group follows."""
        ...

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        """The requests that store a chunk.

        `values` has the chunk's shape and the dtype of the codec (`codec.stored`); `weight` is
        handed through. Encoding a chunk twice gives requests with the same effect.
        """
        ...

    def probe(self) -> Probe | None:
        """A hash written by RESTORE, under a key that begins with the base; None if only HSET writes the layout."""
        ...

    def marks(self, chunk: Chunk) -> NDArray[np.int64]:
        """A point of each request that `encode` makes of a chunk: int64 [N, 4] in the order t, x, y, z.

        A request is applied whole or not at all, and a server evicts whole keys. So if these
        points are stored, all of the chunk is.
        """
        ...

    def changes(self, chunk: int, box: Box, values: NDArray[Any]) -> Sequence[Part]:
        """The requests that change the values of a box of a chunk in place, each all or nothing, and atomic a point.

        Each also marks the chunk stale in the journal. `values` has the box's shape and the
        dtype of the codec. The reply to each is 0. If a field is missing (or is no tile), the
        reply is its name, and the request changed nothing.
        """
        ...

    def keys(self, group: int) -> Iterator[bytes]:
        """The data keys of a group, whether they were written or not."""
        ...

    def place(self, point: Shape4) -> Place:
        """Where the point [t, x, y, z] lies."""
        ...

    def requests(self, box: Box) -> Sequence[Part]:
        """Requests that read the values of a box."""
        ...

    def values(self, box: Box, replies: Sequence[Any]) -> NDArray[Any]:
        """The values of a box from the replies to its `requests`.

        [t, x, y, z] in the dtype of the codec (complex128 for text). Raises DamagedData
        naming the first key and field that is missing or not of the codec's form.
        """
        ...

    def whole(self, box: Box, *, dumped: bool) -> WholeHashes | None:
        """The hashes that hold a box, to be read whole as bytes; None where `requests` are no slower.

        `dumped` asks for them by DUMP if that is quicker; not every server permits it, or gives a listpack
        as it is. The bytes may differ from what is expected although the values are there: then
        `requests` read them.
        """
        ...

    @property
    def in_line(self) -> Layout | None:
        """The same points in the same hashes as one row in C order, where a chunk is a part of that; else None."""
        ...

    def fetches(self, points: NDArray[np.int64]) -> Iterator[Fetch]:
        """What to fetch for points that lie anywhere, int64 [N, 4] in the order t, x, y, z, in pieces of bounded size.

        A field that holds several values is fetched once in a piece, however many of the
        points it holds.
        """
        ...
