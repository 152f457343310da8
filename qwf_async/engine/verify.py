"""Verification: stored chunks read back, and compared by digest with the journal."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import anyio.to_thread
from redis.exceptions import ResponseError

from ..errors import DamagedData
from ..grid import BoxPlan
from ..layout import Layout
from ..manifest import JournalEntry
from ..server.connection import Pool, until_available
from ..server.failure import translate


async def differing_chunks(
    pool: Pool, layout: Layout, plan: BoxPlan, entries: Mapping[int, JournalEntry], *, readers: int
) -> list[int]:
    """The numbers of the chunks whose stored values are not those of the journal, sorted.

    A chunk with a missing or malformed value differs. Reads with `readers` tasks, each of
    which holds one chunk. Raises ServerUnavailable or Refused if it cannot be read.
    """
    waiting = iter(sorted(entries))
    differing = []

    async def read() -> None:
        for number in waiting:  # shared by the tasks: each takes the next one
            if not await _is_as_journalled(pool, layout, plan, number, entries[number]):
                differing.append(number)  # noqa: PERF401 # a comprehension cannot await between tasks

    async with anyio.create_task_group() as tasks:
        for _ in range(readers):
            tasks.start_soon(read)
    return sorted(differing)


async def _is_as_journalled(
    pool: Pool, layout: Layout, plan: BoxPlan, number: int, entry: JournalEntry
) -> bool:
    box = plan[number].box
    parts = await anyio.to_thread.run_sync(layout.requests, box)
    buffers = [buffer for part in parts for buffer in part.buffers]

    async def fetch() -> list[object]:
        async with pool.connection() as connection:
            return await connection.exchange(buffers, sum(part.requests for part in parts))

    replies = await until_available(fetch, pool.deadline)
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise translate(
                reply, where=pool.address.shown, doing=f"reading {parts[0].key.decode()}"
            ) from reply
    try:
        _, digest = await anyio.to_thread.run_sync(layout.values, box, replies)
    except DamagedData:
        return False
    return digest == entry.digest
