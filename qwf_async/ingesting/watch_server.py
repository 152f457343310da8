"""`qwf watch`: the watchdog beside a server until a signal, and the replay of spools that wait for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import anyio

from ..catalog.cleaning import Cleaned
from ..client.node import Node
from ..client.retry import until_available
from ..events import Hook, ServerSampled, logged
from ..store.store import Store
from .gate import Gate
from .shutdown import shutdown_on_signals
from .spool_watch import SpoolWatch
from .store_sampler import StoreSampler
from .watchdog import Watchdog

NODES_EVERY: Final = 1.0
"""Seconds between two looks for nodes that have come, or gone."""

REPLAY_EVERY: Final = 1.0
"""Seconds between two looks for spools that are to be replayed."""


async def watch_server(store: Store, *, hooks: Sequence[Hook], interval: float = 1.0) -> None:
    """Watch a server until a signal: sample it, clean what is expendable above the watermark, replay waiting spools.

    The hooks get a ServerSampled each `interval` seconds. How often the watchdog looks is its own
    matter. It waits for a server that is away. Raises Interrupted when SIGINT, SIGTERM or SIGHUP
    comes. For the main thread only.
    """
    hook = logged(hooks)
    spools = SpoolWatch(store, hook)
    async with shutdown_on_signals(0) as shutdown:
        with shutdown.scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_guard, store, hook)
                tasks.start_soon(_sample, StoreSampler(store, spools, hook), hook, interval)
                tasks.start_soon(_replay_spools, spools)
    raise shutdown.interrupted("not watching any more")


async def look_once(store: Store, *, hooks: Sequence[Hook]) -> None:
    """Give the hooks one sample of a store: nothing is cleaned, and nothing replayed.

    Raises ServerUnavailable if a server is away until the deadline is over.
    """
    hook = logged(hooks)
    sampler = StoreSampler(store, SpoolWatch(store, hook), hook)

    async def sample() -> ServerSampled:
        taken = await sampler.sample()
        for error in sampler.away.values():
            raise error
        return taken

    hook(await until_available(sample, store.pool.retry))


async def _guard(store: Store, hook: Hook) -> None:
    """Run a watchdog beside each node, also beside one that comes later, as long as it has slots."""
    cleaning = anyio.Lock()

    async def clean() -> Cleaned:
        async with cleaning:  # names are cleaned on all nodes
            return await store.clean()

    watched: dict[Node, anyio.CancelScope] = {}

    async def watch(node: Node, scope: anyio.CancelScope) -> None:
        with scope:
            gate = Gate(where=node.address.shown)
            dog = Watchdog.of(
                store, gate, node=node, clean=clean, timeout=math.inf, evictable=True, hook=hook
            )
            await dog.run()

    async with anyio.create_task_group() as tasks:
        while True:
            nodes = store.pool.nodes
            for gone in watched.keys() - set(nodes):
                watched.pop(gone).cancel()
            for node in nodes:
                if node not in watched:
                    watched[node] = scope = anyio.CancelScope()
                    tasks.start_soon(watch, node, scope)
            await anyio.sleep(NODES_EVERY)


async def _sample(sampler: StoreSampler, hook: Hook, interval: float) -> None:
    """Give the hook a sample each `interval` seconds, or as soon as the last one is there."""
    due = anyio.current_time()
    while True:
        hook(await sampler.sample())
        due = max(due + interval, anyio.current_time())
        await anyio.sleep_until(due)


async def _replay_spools(spools: SpoolWatch) -> None:
    while True:
        await spools.replay_all()
        await anyio.sleep(REPLAY_EVERY)
