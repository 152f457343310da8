"""The chunks that a resumed load need not send again: those of its journal whose data is still there."""

from __future__ import annotations

import anyio.to_thread
import numpy as np

from ..catalog.journal import JournalEntry
from ..catalog.keys import Keys
from ..catalog.load import Load
from ..errors import DamagedData
from ..events import Hook, Noted
from ..store.parallel import in_parallel
from ..store.reading import read_scattered
from ..store.store import Store


async def surviving_entries(
    store: Store, keys: Keys, load: Load, *, readers: int, hook: Hook
) -> dict[int, JournalEntry]:
    """The entries of a load's journal whose chunks are stored.

    A server may have evicted data and kept the journal, even if its policy allowed that for a
    moment only. After a restart its counters do not tell. So the marks of each chunk are
    read, and the entries of the chunks that lack one are removed. Raises as `Load.journal` and
    `read_box`.
    """
    entries = await load.journal()
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

    await in_parallel(check_chunk, sorted(entries), readers)
    if lost:
        await load.forget(lost)
        text = f"the server has lost {len(lost)} of the {len(entries)} chunks that were stored: written again"
        hook(Noted(text=text, warning=True))
    return {number: entry for number, entry in entries.items() if number not in lost}
