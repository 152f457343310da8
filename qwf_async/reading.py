"""Boxes of a stored wavefunction: requests out, replies decoded."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from numpy.typing import NDArray
from redis.exceptions import ResponseError

from .grid import Box
from .layout import Layout
from .server.connection import Pool, until_available
from .server.failure import translate

IN_PLACE = 2048
"""Points up to which a box is encoded and decoded on the event loop: quicker than a thread is reached."""


async def read_box(pool: Pool, layout: Layout, box: Box) -> NDArray[Any]:
    """The values of a box, [t, x, y, z] in the dtype of the codec (complex128 for text).

    Memory is a few times that of the box: cut large ones. Tried again while the server is
    unavailable. Raises DamagedData if a value is missing or malformed, Refused if the
    server refuses, ServerUnavailable if it stays away.
    """
    small = box.points <= IN_PLACE
    parts = layout.requests(box) if small else await anyio.to_thread.run_sync(layout.requests, box)
    buffers = [buffer for part in parts for buffer in part.buffers]
    requests = sum(part.requests for part in parts)

    async def fetch() -> list[Any]:
        async with pool.connection() as connection:
            return await connection.exchange(buffers, requests)

    replies = await until_available(fetch, pool.deadline)
    if any(isinstance(reply, ResponseError) for reply in replies):
        keys = [part.key for part in parts for _ in range(part.requests)]
        for key, reply in zip(keys, replies, strict=True):
            if isinstance(reply, ResponseError):
                raise translate(reply, where=pool.address.shown, doing=f"reading {key.decode()}") from reply
    if small:
        return layout.values(box, replies)
    return await anyio.to_thread.run_sync(layout.values, box, replies)
