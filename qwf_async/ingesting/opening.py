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


@asynccontextmanager
async def opened(
    x: Any,
    grid: Grid | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> AsyncIterator[Source]:
    """The source that something is, within the block. Parameters and errors are those of `source_of`."""
    # In a thread, both: a file is read, and threads that read it end.
    source = await anyio.to_thread.run_sync(partial(source_of, x, grid, dims=dims, box=box, dt=dt))
    try:
        yield source
    finally:
        if source is not x:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(source.close)
