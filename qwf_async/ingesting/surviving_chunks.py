"""The chunks of a load's journal whose data is still there; the others are taken out of the journal, to be sent again.

A journal is true of what a server loses at the end of its history. It is not where a server has
evicted data and kept the journal, even if its policy allowed that for a moment only: after a
restart its counters do not tell. Nor where keys were moved one by one to a node that died. What is
lost so are whole requests or whole keys. So the marks of a chunk are read: a point of each
request that stored it, and at least one of each key.
"""

from __future__ import annotations

from collections.abc import Collection

import anyio.to_thread
import numpy as np

from ..catalog.journal import JournalEntry
from ..catalog.keys import Keys
from ..catalog.load import Load
from ..client.parallel import in_parallel
from ..errors import DamagedData
from ..events import Hook, Noted
from ..store.reading import read_scattered
from ..store.store import Store


async def surviving_entries(
    store: Store, keys: Keys, load: Load, *, readers: int, hook: Hook
) -> dict[int, JournalEntry]:
    """The entries of a load's journal whose chunks are stored. Raises as `Load.journal` and `forget_lost`."""
    entries = await load.journal()
    lost = await forget_lost(store, keys, load, entries, readers=readers, hook=hook)
    return {number: entry for number, entry in entries.items() if number not in lost}


async def forget_lost(
    store: Store, keys: Keys, load: Load, numbers: Collection[int], *, readers: int, hook: Hook
) -> set[int]:
    """Take the chunks of which a mark is missing out of the journal; the numbers of these. Raises as `read_box`."""
    manifest = load.manifest
    layout = manifest.form.open(keys.base(manifest.generation))
    lost: set[int] = set()

    async def check_chunk(number: int) -> None:
        points = await anyio.to_thread.run_sync(layout.marks, manifest.plan[number])
        values = np.empty(len(points), np.complex128)
        try:
            await read_scattered(store.pool, layout, points, values, readers=1)
        except DamagedData:
            lost.add(number)

    await in_parallel(check_chunk, sorted(numbers), readers)
    if lost:
        await load.forget(lost)
        text = f"the server has lost {len(lost)} of the {len(numbers)} chunks that were stored: written again"
        hook(Noted(text=text, warning=True))
    return lost
