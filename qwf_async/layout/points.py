"""Points that lie anywhere: which fields of which hashes hold them, a function a layout.

Points are int64 [N, 4] in the order t, x, y, z. What is stored together is fetched once,
however many of the points it holds, and duplicates are fetched once in packed and tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedData
from ..wire import text10
from ..wire.batch import Buffer
from ..wire.buckets import BUCKET
from ..wire.codec import binary_dtype, is_whole, most_bytes
from ..wire.numbered import Numbered, hmget
from ..wire.replies import fault, is_value, joined
from .base import Layout
from .flat import FIELDS_A_REQUEST, Flat
from .packed import Packed
from .tile import Tile

FETCH_POINTS: Final = 8192
"""Points in a fetch: large enough that its own cost does not show."""

FETCH_BYTES: Final = 1_048_576
"""Bytes of values that a fetch may ask for, about."""

Points = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A few thousand points read together.

    `rows` says which of the points they are; the value of row r is number `inside[r]` of
    field number `among[r]` of those fetched, each of which holds `held` values.
    `counts` fields each come from one of `keys`.
    """

    keys: Numbered
    fields: Numbered
    counts: NDArray[np.int64]
    codec: str
    held: int
    rows: NDArray[np.int64]
    among: NDArray[np.int64]
    inside: NDArray[np.int64] | int

    @property
    def requests(self) -> int:
        return len(self.counts)

    @property
    def buffer(self) -> Buffer:
        """The requests, encoded."""
        return hmget(self.keys, self.fields, self.counts)

    @property
    def field_bytes(self) -> int:
        """The most bytes that a field has."""
        return self.held * most_bytes(self.codec)

    def key_of(self, request: int) -> str:
        return self.keys[request].decode()

    def values(self, replies: Sequence[Any]) -> NDArray[Any]:
        """The values of the points `rows`. Raises DamagedData naming the first that is missing or malformed."""
        found = list(chain.from_iterable(replies))
        dtype = binary_dtype(self.codec)
        if dtype is not None:
            data = joined(found, self.held * dtype.itemsize)
            if data is None:
                raise self._damage(found)
            values: NDArray[Any] = np.frombuffer(data, dtype).reshape(-1, self.held)[self.among, self.inside]
            return values
        try:
            return text10.decode(text10.Texts.of(found))[self.among]
        except ValueError as error:
            raise self._damage(found) from error

    def _damage(self, found: Sequence[Any]) -> DamagedData:
        """The error that names the first field that is missing or of the wrong form."""
        number = next(n for n, value in enumerate(found) if not self._is_whole(value))
        request = int(np.searchsorted(np.cumsum(self.counts), number, side="right"))
        what = fault(found[number], f"that are no {self.codec}")
        return DamagedData(f"{self.key_of(request)} {what} the field {self.fields[number].decode()}")

    def _is_whole(self, value: Any) -> bool:
        dtype = binary_dtype(self.codec)
        return is_whole(self.codec, value) if dtype is None else is_value(value, self.held * dtype.itemsize)


def fetches(layout: Layout, points: Points) -> Iterator[Fetch]:
    """What to fetch for these points, in pieces of bounded size."""
    if isinstance(layout, Flat):
        return _flat(layout, points)
    if isinstance(layout, Packed):
        return _packed(layout, points)
    if isinstance(layout, Tile):
        return _tile(layout, points)
    raise TypeError(f"{type(layout).__name__} is no layout")


def _flat(layout: Flat, points: Points) -> Iterator[Fetch]:
    for start in range(0, len(points), FETCH_POINTS):
        t, x, y, z = points[start : start + FETCH_POINTS].T
        whole, rest = divmod(len(t), FIELDS_A_REQUEST)
        counts = np.array([FIELDS_A_REQUEST] * whole + [rest] * (rest > 0))
        yield Fetch(
            keys=Numbered(parts=(layout.base + b":s", np.zeros(len(counts), np.int64))),
            fields=Numbered(parts=(b"x", x, b"_y", y, b"_z", z, b"_t", t)),
            counts=counts,
            codec=layout.codec,
            held=1,
            rows=np.arange(start, start + len(t)),
            among=np.arange(len(t)),
            inside=0,
        )


def _packed(layout: Packed, points: Points) -> Iterator[Fetch]:
    places = np.ravel_multi_index(tuple(points.T), layout.shape)
    for rows, found, among in _grouped(places, FETCH_POINTS):
        buckets, fields = np.divmod(found, BUCKET)
        begins = np.flatnonzero(np.diff(buckets, prepend=-1))
        yield Fetch(
            keys=Numbered(parts=(layout.base + b":b", buckets[begins])),
            fields=Numbered(parts=(fields,)),
            counts=np.diff(begins, append=len(fields)),
            codec=layout.codec,
            held=1,
            rows=rows,
            among=among,
            inside=0,
        )


def _tile(layout: Tile, points: Points) -> Iterator[Fetch]:
    tile = np.array((1, *layout.tile))
    tiles, within = np.divmod(points, tile)
    counts = tuple(-(-n // a) for n, a in zip(layout.shape, tile.tolist(), strict=True))
    places = np.ravel_multi_index(tuple(tiles.T), counts)
    offsets = np.ravel_multi_index(tuple(within[:, 1:].T), layout.tile)
    for rows, found, among in _grouped(places, max(1, FETCH_BYTES // layout.nbytes)):
        t, i, j, k = np.unravel_index(found, counts)
        # A request is for tiles of one hash, and for not too many of them.
        begins = np.flatnonzero(np.diff(found // (counts[2] * counts[3]), prepend=-1))
        nth = np.arange(len(found)) - np.repeat(begins, np.diff(begins, append=len(found)))
        begins = np.flatnonzero(nth % layout.tiles_a_request == 0)
        yield Fetch(
            keys=Numbered(parts=(layout.base + b":t", t[begins], b".", i[begins])),
            fields=Numbered(parts=(b"c/", t, b"/", i, b"/", j, b"/", k)),
            counts=np.diff(begins, append=len(found)),
            codec=layout.codec,
            held=layout.nbytes // layout.dtype.itemsize,
            rows=rows,
            among=among,
            inside=offsets[rows],
        )


def _grouped(
    places: NDArray[np.int64], most: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Equal places brought together, `most` a time: rows, distinct places in order, which of these each row is."""
    order = np.argsort(places, kind="stable")
    ascending = places[order]
    begins = np.flatnonzero(np.diff(ascending, prepend=-1))
    for first in range(0, len(begins), most):
        some = begins[first : first + most]
        end = begins[first + most] if first + most < len(begins) else len(places)
        lengths = np.diff(some, append=end)
        yield order[some[0] : end], ascending[some], np.repeat(np.arange(len(some)), lengths)
