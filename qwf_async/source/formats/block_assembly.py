"""A box of an array that is stored in blocks, put together from parts of the blocks that it touches."""

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
    """The values of a box: `part` yields those of a block, by its index and by slices within the block.

    Blocks of `chunk` are asked for in C or Fortran order. A box within one block is what `part` yielded.
    """
    # For each dimension, the blocks that the box touches: the index, the slice within the block, and the
    # slice of the box that this fills. Blocks of 4 and the box 3:9 make (0, 3:4, 0:1), (1, 0:4, 1:5), (2, 0:1, 5:6).
    along = [
        [
            (
                index,
                slice(max(span.start - index * size, 0), min(span.stop - index * size, size)),
                slice(max(index * size - span.start, 0), min((index + 1) * size, span.stop) - span.start),
            )
            for index in range(span.start // size, -(-span.stop // size))
        ]
        for span, size in zip(slices, chunk, strict=True)
    ]
    # `product` changes its last dimension fastest, as C order has it; reversed lists are Fortran order.
    turn = 1 if order == "C" else -1
    values: NDArray[Any] | None = None
    for touched in product(*along[::turn]):
        block, within, target = zip(*touched[::turn], strict=True)
        piece = part(block, within)
        if values is None:
            shape = tuple(span.stop - span.start for span in slices)
            if piece.shape == shape:
                return piece
            values = np.empty(shape, piece.dtype, order=order)
        values[target] = piece
    assert values is not None  # noqa: S101 # a box of no points is never asked for
    return values
