"""The check before anything is measured that all jobs fit at once, as an ingest checks that it fits."""

from __future__ import annotations

import numpy as np

from ..catalog.keys import Keys, new_generation
from ..client.evenness import even_generation
from ..errors import OutOfMemory
from ..human import counted, size
from ..ingesting.room import rooms_of, shares_of
from ..lattice.grid import Grid, Order
from ..layout import Form
from ..store.store import Store
from ..wording import option
from .scratch import scratch_name
from .space import Space


async def check_jobs_fit(store: Store, grid: Grid, order: Order, space: Space, jobs: int) -> None:
    """Raise OutOfMemory if so many wavefunctions of this grid are predicted not to fit below the high watermark.

    The largest layout of the space counts. A node that forbids INFO is not looked at.
    """
    rooms = await rooms_of(store)
    if not rooms:
        return
    software = {facts.software for facts in await store.facts()}
    known = software.pop() if len(software) == 1 else None
    most = jobs
    needed = room = 0.0
    for layout in space.layouts:
        form = Form.of(layout=layout, codec="c16", shape=grid.shape, order=order)
        whole = form.predicted_bytes(known)
        table = even_generation(new_generation, store.pool.table, np.arange(form.groups))
        base = Keys(prefix=store.settings.prefix, name=scratch_name(0)).base(table)
        for node, share in shares_of(store.pool, base, form).items():
            there = max(0.0, rooms.get(node, float("inf")))
            fitting = int(there / (share * whole)) if share else jobs
            if fitting < most:
                most, needed, room = fitting, jobs * share * whole, there
    if most < jobs:
        cure = (
            f"{most} fit: {option('jobs', most)} at most"
            if most
            else "use a smaller grid or a server with more memory"
        )
        raise OutOfMemory(
            f"{jobs} jobs of {counted(grid.points, 'point')} at once will need {size(needed)}, and {size(room)} are "
            f"free below the watermark: {cure}"
        )
