"""Marks of a chunk: points that are stored if, and only if, all of the chunk is, as far as eviction goes.

A request is applied whole or not at all, and a server evicts whole keys. So all that a request
has stored is there as long as any of it is, and one point of each tells.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import Box
from ..lattice.plan import Chunk, c_index
from ..wire.buckets import BUCKET
from ..wire.fields import blocks
from .base import Layout
from .flat import FIELDS_A_REQUEST, Flat
from .packed import Packed
from .tile import Tile


def marks(layout: Layout, chunk: Chunk) -> NDArray[np.int64]:
    """A point of each request that `encode` makes of a chunk: int64 [N, 4] in the order t, x, y, z."""
    if isinstance(layout, Flat):
        return _flat(chunk.box)
    if isinstance(layout, Packed):
        first = c_index(layout.shape, chunk.boxes[0].start)
        return _points(np.arange(first, first + chunk.points, BUCKET), layout.shape)
    if isinstance(layout, Tile):
        return _tile(layout, chunk.box)
    raise TypeError(f"{type(layout).__name__} is no layout")


def _points(numbers: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.stack(np.unravel_index(numbers, shape), axis=1)


def _flat(box: Box) -> NDArray[np.int64]:
    """Requests are cut from the records of all blocks, one after the other."""
    found, done = [], 0
    for block in blocks(box):
        numbers = np.arange(-done % FIELDS_A_REQUEST, block.points, FIELDS_A_REQUEST)
        found.append(_points(numbers, block.shape) + block.start)
        done += block.points
    return np.concatenate(found)


def _tile(layout: Tile, box: Box) -> NDArray[np.int64]:
    """A request is for tiles of one hash, in C order of j and k."""
    t, i, j, k = (range(a, b, step) for a, b, step in zip(box.start, box.stop, layout.grain, strict=True))
    places = list(product(j, k))[:: layout.tiles_a_request]
    return np.array([(*row, *place) for row, place in product(product(t, i), places)])
