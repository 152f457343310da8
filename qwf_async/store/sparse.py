"""Selections with steps, of which little lies in each field that holds a point: read point by point, in blocks.

Of a cube of 128³ points every eighth along each axis comes ten times as fast in layout flat, and three times in packed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..lattice.selection import Selection, Slices4
from ..layout import Layout
from ..wire.codec import stored_dtype
from .reading import read_scattered


async def read_sparse(
    pool: Pool,
    layout: Layout,
    selection: Selection,
    result: NDArray[Any],
    *,
    readers: int,
    done: Callable[[int], object] = lambda points: None,
) -> None:
    """Read a selection into `result`, [t, x, y, z], up to `readers` blocks at a time. Raises as `read_scattered`."""

    async def read(block: tuple[Selection, Slices4]) -> None:
        part, into = block
        points = await to_thread.run_sync(part.indices)
        values = np.empty(len(points), stored_dtype(layout.codec))
        await read_scattered(pool, layout, points, values, readers=1)
        result[into] = values.reshape(part.full_shape)
        done(part.points)

    await in_parallel(read, selection.blocks(), readers)
