"""Verification: stored chunks read back, and compared by digest with the journal."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import anyio.to_thread
import numpy as np

from ..codec import digest
from ..errors import DamagedData
from ..layout import Layout
from ..manifest import JournalEntry
from ..plan import Chunk, Plan
from ..reading import read_box
from ..server.connection import Pool


async def differing_chunks(
    pool: Pool, layout: Layout, codec: str, plan: Plan, entries: Mapping[int, JournalEntry], *, readers: int
) -> list[int]:
    """The numbers of the chunks whose stored values are not those of the journal, sorted.

    A chunk with a missing or malformed value differs. Reads with `readers` tasks, each of
    which holds one chunk. Raises ServerUnavailable or Refused if it cannot be read.
    """
    waiting = iter(sorted(entries))
    differing = []

    async def read() -> None:
        for number in waiting:  # shared by the tasks: each takes the next one
            if await _digest_of(pool, layout, codec, plan[number]) != entries[number].digest:
                differing.append(number)  # noqa: PERF401 # a comprehension would not share the work

    async with anyio.create_task_group() as tasks:
        for _ in range(readers):
            tasks.start_soon(read)
    return sorted(differing)


async def _digest_of(pool: Pool, layout: Layout, codec: str, chunk: Chunk) -> int | None:
    """The digest of a chunk's stored values; None if one is missing or malformed."""
    try:
        pieces = [(await read_box(pool, layout, box)).reshape(-1) for box in chunk.boxes]
    except DamagedData:
        return None
    return await anyio.to_thread.run_sync(digest, codec, np.concatenate(pieces))
