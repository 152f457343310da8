"""Samples of a store for who watches it: its servers, the loads under way, the spools that wait, its connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import anyio

from ..client.every_node import ask_each
from ..client.node import Node
from ..errors import QwfError, ServerUnavailable
from ..events import Hook, LoadSampled, Noted, ServerFacts, ServerSampled
from ..server.sampling import Sampler
from ..store.store import Store
from ..store.under_way import UnderWay
from .spool_watch import SpoolWatch

LOADS_TIME: Final = 10.0
"""Seconds that a look at the loads under way may take."""

_UNKNOWN: Final = {
    "CONFIG": "its settings, and how durable it is, are unknown",
    "SLOWLOG": "its slow log is not shown",
}
"""Command that a server may forbid → what is not known then. That INFO is forbidden says the watchdog."""


class StoreSampler:
    """Samples a store again and again. What cannot be known is told to the hook once; `away` says why."""

    def __init__(self, store: Store, spools: SpoolWatch, hook: Hook) -> None:
        self._pool = store.pool
        self._spools = spools
        self._hook = hook
        self._samplers: dict[Node, Sampler] = {}
        self._under_way = UnderWay(store.pool, store.settings.prefix)
        self.away: dict[Node, ServerUnavailable] = {}
        self._said: set[str] = set()

    async def sample(self) -> ServerSampled:
        """One sample. Servers that are away are in it by their addresses. One exchange for each server."""
        nodes = self._pool.nodes
        self._samplers = {node: self._samplers.get(node) or Sampler(self._pool, node) for node in nodes}
        self.away = {node: error for node, error in self.away.items() if node in nodes}
        found = await ask_each(self._pool, self._look)
        away = [node for node, facts in found.items() if facts is None]
        facts = tuple(facts for facts in found.values() if facts is not None)
        self._say_forbidden(facts)
        return ServerSampled(
            facts=facts,
            away=tuple(node.address.shown for node in away),
            loads=None if away or any(each.loading for each in facts) else await self._loads(),
            spools=await self._spools.sample(),
            connections=self._pool.counts.to_json(),
        )

    async def _look(self, node: Node) -> ServerFacts | None:
        sampler = self._samplers.get(node) or Sampler(self._pool, node)
        try:
            facts = await sampler.sample()
        except ServerUnavailable as error:
            if node not in self.away:
                self._hook(Noted(text=f"{error}: waiting for it", warning=True))
            self.away[node] = error
            return None
        self.away.pop(node, None)
        return facts

    async def _loads(self) -> tuple[LoadSampled, ...] | None:
        try:
            with anyio.move_on_after(LOADS_TIME):
                return await self._under_way.sample()
        except ServerUnavailable:
            pass  # the next sample says so
        except QwfError as error:
            self._say(f"what is being loaded is unknown: {error}")
        return None

    def _say_forbidden(self, every: Sequence[ServerFacts]) -> None:
        for command, unknown in _UNKNOWN.items():
            if any(command in facts.forbidden for facts in every):
                self._say(f"the server forbids {command}: {unknown}")

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._hook(Noted(text=text, warning=True))
