"""Two-stage shutdown: the first signal drains, the second ends the process.

Signals belong to the command line and to `ingest(..., signals=True)`; nothing here is
entered otherwise.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import anyio

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LAST_GRACE: Final = 0.8
"""Seconds after the second signal until the process ends, whatever is under way (a thread in a long read)."""


@dataclass(slots=True, kw_only=True)
class Shutdown:
    """`stopping` is set by the first signal, whose number is `signum`; `scope` is cancelled when draining is over."""

    stopping: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    signum: int | None = None


@asynccontextmanager
async def shutdown_on_signals(drain_timeout: float, *, enabled: bool = True) -> AsyncIterator[Shutdown]:
    """Run the body so that signals stop it in two stages.

    First signal: `stopping` is set, and `scope`, in which the body should do its work, is
    cancelled `drain_timeout` seconds later. Second: the scope is cancelled at once, and
    the process ends within a second even if a thread would hold it.

    The receiver lies outside the scope: inside, it would be gone when the second comes.
    """
    shutdown = Shutdown()
    if not enabled:
        yield shutdown
        return
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(*SIGNALS) as received:

            async def listen() -> None:
                first = await anext(received)
                shutdown.signum = int(first)
                shutdown.stopping.set()
                shutdown.scope.deadline = anyio.current_time() + drain_timeout
                await anext(received)
                end = threading.Timer(LAST_GRACE, os._exit, (128 + shutdown.signum,))
                end.daemon = True
                end.start()
                shutdown.scope.cancel()

            tasks.start_soon(listen)
            yield shutdown
            tasks.cancel_scope.cancel()
