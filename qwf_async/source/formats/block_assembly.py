"""An array that is stored in blocks: a box of it is put together from parts of the blocks that it touches."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import Order
from .variable import Slices

BlockIndex = tuple[int, ...]
"""The number of a block along each dimension."""


def read_blocks(
    chunk: tuple[int, ...],
    part: Callable[[BlockIndex, Slices], NDArray[Any]],
    slices: Slices,
    order: Order = "C",
) -> NDArray[Any]:
    """The values of a box: `part` yields those of a block, by its place and by slices within the block.

    Blocks of `chunk` are asked for in C or Fortran order. A box within one block is what `part` yielded.
    """
    along = [
        [
            (
                place,
                slice(max(one.start - place * size, 0), min(one.stop - place * size, size)),
                slice(max(place * size - one.start, 0), min((place + 1) * size, one.stop) - one.start),
            )
            for place in range(one.start // size, -(-one.stop // size))
        ]
        for one, size in zip(slices, chunk, strict=True)
    ]
    turn = 1 if order == "C" else -1
    values: NDArray[Any] | None = None
    for touched in product(*along[::turn]):
        place, within, target = zip(*touched[::turn], strict=True)
        found = part(place, within)
        if values is None:
            shape = tuple(one.stop - one.start for one in slices)
            if found.shape == shape:
                return found
            values = np.empty(shape, found.dtype, order=order)
        values[target] = found
    assert values is not None  # noqa: S101 # a box of no points is never asked for
    return values
