"""What a user passes as a source is opened, and closed again if it was opened here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from ..lattice.grid import Grid
from ..source import Source, source_of
from ..source.text import is_on_server
from ..store.store import Store
from ..store.stored_frame import source_on


@asynccontextmanager
async def opened(
    x: Any,
    store: Store,
    grid: Grid | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> AsyncIterator[Source]:
    """The source that something is, within the block; a text may name what is on the server of the store.

    Parameters and errors are those of `source_of` and `source_on`.
    """
    source: Source
    if isinstance(x, str) and is_on_server(x):
        source = await source_on(store, x, grid=grid, dims=dims, box=box, dt=dt)
    else:  # in a thread, as closing: a file is read, and threads that read it end
        source = await anyio.to_thread.run_sync(partial(source_of, x, grid, dims=dims, box=box, dt=dt))
    try:
        yield source
    finally:
        if source is not x:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(source.close)
