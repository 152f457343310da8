"""Changing stored values in place, chunk by chunk, each point atomically.

One script changes the data of a chunk and marks its digest in the journal stale. Whether the
generation is still published is asked before, because that lies in another slot of a cluster. A
reader sees the old or the new value of each point, and may see a part of a region changed before
the rest.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio.to_thread
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..catalog.keys import Keys
from ..catalog.manifest import Manifest
from ..catalog.still_published import is_published, replaced
from ..client.following import exchange
from ..client.parallel import in_parallel
from ..client.pool import Pool
from ..client.reply import is_text
from ..client.retry import until_available
from ..errors import DamagedData, InvalidInput
from ..lattice.grid import Box
from ..layout import Layout
from ..source.elements import complex_type, unmasked
from ..wire.change import journal_beside
from ..wire.codec import stored
from .reading import MAX_POINTS_IN_PLACE, read_box


def storable(codec: str, values: ArrayLike, shape: tuple[int, ...], *, allow_nonfinite: bool) -> NDArray[Any]:
    """New values in the dtype of the codec, [shape].

    Raises InvalidInput if they have another shape, are no numbers or too large for the
    codec, or are NaN or infinite (unless that is allowed).
    """
    try:
        given = unmasked(values)
    except ValueError as error:
        raise InvalidInput(f"the new values are no array of numbers: {error}") from error
    dtype = complex_type(given.dtype, "the update")
    if given.shape != shape:
        raise InvalidInput(f"the new values have the shape {given.shape}; what is selected has {shape}")
    if not allow_nonfinite and not np.isfinite(given).all():
        raise InvalidInput("the new values hold NaN or infinity: allow_nonfinite stores them as they are")
    return stored(codec, given.astype(dtype, copy=False))


async def update_box(
    pool: Pool,
    keys: Keys,
    manifest: Manifest,
    layout: Layout,
    box: Box,
    values: NDArray[Any],
    *,
    writers: int,
) -> None:
    """Change the values of a box, [t, x, y, z] in the dtype of the codec, up to `writers` chunks at a time.

    The old values are read first, so that damage is found before anything is changed, and
    before the digest that proves it is marked stale. It is tried again while the server is
    unavailable. Raises Refused if the generation is not published any more, and DamagedData,
    which names the first field whose value is missing or malformed.
    """

    async def check(item: tuple[int, tuple[Box, ...]]) -> None:
        for piece in item[1]:
            await read_box(pool, layout, piece)

    async def change(item: tuple[int, tuple[Box, ...]]) -> None:
        number, pieces = item
        if not await is_published(pool, keys, manifest.generation):
            raise replaced(keys.name)
        for piece in pieces:
            await _change_piece(pool, layout, number, piece, values[piece.within(box)])

    chunks = list(manifest.plan.touched(box))
    for step in (check, change):
        if len(chunks) == 1:  # mostly a single point, for which tasks would take as long as the requests
            await step(chunks[0])
        else:
            await in_parallel(step, chunks, writers)


async def _change_piece(pool: Pool, layout: Layout, chunk: int, box: Box, values: NDArray[Any]) -> None:
    change = partial(layout.changes, chunk, box, values)
    parts = change() if box.points <= MAX_POINTS_IN_PLACE else await anyio.to_thread.run_sync(change)
    buffers = [buffer for part in parts for buffer in part.buffers]
    requests = sum(part.requests for part in parts)

    names = [part.key.decode() for part in parts for _ in range(part.requests)]

    async def send() -> list[Any]:
        # An update that is sent again must not be applied once more, after another update.
        return await exchange(
            pool,
            parts[0].key,
            buffers,
            requests,
            expect=lambda _, reply: reply == 0 or is_text(reply),
            doing=lambda n: (
                f"changing {names[n]}, or its journal {journal_beside(names[n].encode()).decode()}"
            ),
            writing=True,
        )

    for key, reply in zip(names, await until_available(send, pool.retry), strict=True):
        if reply != 0:
            raise DamagedData(
                f"{key} has nothing to change in the field {reply.decode(errors='replace')}: it lacks its value"
            )
