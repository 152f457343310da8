"""`qwf watch`: the watchdog beside a server until a signal, and the replay of spools that wait for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import anyio

from ..catalog.cleaning import Cleaned
from ..client.every_node import ask_each
from ..client.node import Node
from ..errors import QwfError, ServerUnavailable
from ..events import Hook, Noted, ServerFacts, ServerSampled, logged
from ..server.sampling import Sampler
from ..store.store import Store
from .gate import Gate
from .leftover_spools import waiting_spools
from .replay import replay
from .shutdown import Shutdown, shutdown_on_signals
from .watchdog import Watchdog

VIEW_EVERY: Final = 1.0
"""Seconds between two looks at the server for the view."""

REPLAY_EVERY: Final = 1.0
"""Seconds between two looks for spools that are to be replayed."""


async def watch_server(store: Store, *, hook: Hook) -> None:
    """Watch a server until a signal: sample it, clean what is expendable above the watermark, replay waiting spools.

    It waits for a server that is away. Raises Interrupted when SIGINT, SIGTERM or SIGHUP
    comes. For the main thread only.
    """
    hook = logged([hook])
    async with shutdown_on_signals(0) as shutdown:
        with shutdown.scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_guard, store, hook)
                tasks.start_soon(_sample, store, hook)
                tasks.start_soon(_replay_spools, store, hook)
    raise shutdown.interrupted("not watching any more")


async def _guard(store: Store, hook: Hook) -> None:
    """Run a watchdog beside each node, also beside one that comes later, as long as it has slots."""
    cleaning = anyio.Lock()

    async def clean() -> Cleaned:
        async with cleaning:  # names are cleaned on all nodes
            return await store.clean()

    watched: dict[Node, anyio.CancelScope] = {}

    async def watch(node: Node, scope: anyio.CancelScope) -> None:
        with scope:
            dog = Watchdog.of(
                store, Gate(), node=node, clean=clean, timeout=math.inf, evictable=True, hook=hook
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
            await anyio.sleep(VIEW_EVERY)


async def _sample(store: Store, hook: Hook) -> None:
    away: set[str] = set()
    samplers: dict[Node, Sampler] = {}

    async def look(node: Node) -> ServerFacts | None:
        where = node.address.shown
        try:
            facts = await samplers.setdefault(node, Sampler(store.pool, node)).sample()
        except ServerUnavailable as error:
            if where not in away:
                hook(Noted(text=f"{error}: waiting for it", warning=True))
            away.add(where)
            return None
        away.discard(where)
        return facts

    while True:
        for gone in samplers.keys() - set(store.pool.nodes):
            del samplers[gone]
        found = await ask_each(store.pool, look)
        hook(
            ServerSampled(
                facts=tuple(facts for facts in found.values() if facts is not None),
                away=tuple(node.address.shown for node, facts in found.items() if facts is None),
                connections=store.pool.counts.to_json(),
            )
        )
        await anyio.sleep(VIEW_EVERY)


async def _replay_spools(store: Store, hook: Hook) -> None:
    last_errors: dict[Path, str] = {}
    while True:
        for spool in await waiting_spools(store):
            try:
                report = await replay(store, spool, Shutdown(drain_timeout=0), hook=hook)
            except QwfError as error:  # in use by a living process, or superseded: the hook is told once
                if last_errors.get(spool.path) != str(error):
                    hook(Noted(text=f"cannot replay {spool.path}: {error}", warning=True))
                last_errors[spool.path] = str(error)
            else:
                hook(Noted(text=f"{report.name} is published: what waited in {spool.path} was replayed"))
        await anyio.sleep(REPLAY_EVERY)
