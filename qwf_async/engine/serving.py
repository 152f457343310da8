"""The serving mode: the watchdog kept running beside a server, until a signal."""

from __future__ import annotations

import math
from typing import Final

import anyio

from ..cleaning import Cleaned
from ..errors import ServerUnavailable
from ..store import Store
from .events import Hook, Noted, ServerSampled
from .gate import Gate, Watermarks
from .shutdown import shutdown_on_signals
from .unwrap import one_error
from .watchdog import Watchdog

VIEW_EVERY: Final = 1.0
"""Seconds between two looks at the server for the view."""


async def serve(store: Store, *, hook: Hook) -> None:
    """Sample the server and clean what is expendable above the watermark, until a signal.

    A server that is away is waited for. Raises Interrupted when SIGINT, SIGTERM or SIGHUP
    comes. Main thread only.
    """
    settings = store.settings

    async def clean() -> Cleaned:
        return await store.clean()

    watchdog = Watchdog(
        gate=Gate(),
        probe=store.memory,
        clean=clean,
        watermarks=Watermarks(high=settings.high_watermark, low=settings.low_watermark),
        interval=settings.sample_interval,
        timeout=math.inf,
        evictable=True,
        hook=hook,
    )
    with one_error():
        async with shutdown_on_signals(0) as shutdown:
            with shutdown.scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(watchdog.run)
                    tasks.start_soon(_look, store, hook)
    raise shutdown.interrupted("not watching any more")


async def _look(store: Store, hook: Hook) -> None:
    away = False
    while True:
        try:
            hook(ServerSampled(facts=await store.facts()))
            away = False
        except ServerUnavailable as error:
            if not away:
                hook(Noted(text=f"{error}: waiting for it", warning=True))
            away = True
        await anyio.sleep(VIEW_EVERY)
