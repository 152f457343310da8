"""Ingests of PSI whose server goes away in the middle, and the replay of what then waits in the spool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import ReplayOwed
from qwf_async.events import Event, Spooled
from qwf_async.ingesting.leftover_spools import waiting_spools
from qwf_async.ingesting.replay import replay
from qwf_async.ingesting.shutdown import Shutdown
from tests.conftest import PATIENCE, Server
from tests.support.loads import refusal, wave, when_stored

PSI = wave(12, 10, 10, 10)
"""With `small_chunks` it has 12 chunks, one for each time."""

SOON: dict[str, Any] = {"deadline": 1.5, "spool_after": 0.2, "socket_timeout": 1.0, "ownership_ttl": 1.0}
"""For a server that stays away. The claim is short because this process lives on after the ingest."""

BACK = SOON | {"deadline": PATIENCE}
"""For a server that is left soon, and comes back."""


def left(spool_dir: Path) -> set[Path]:
    """The files in the spool directory."""
    return set(spool_dir.iterdir()) if spool_dir.exists() else set()


@dataclass(slots=True, kw_only=True)
class Spooling:
    """A hook that does something once so many chunks wait in the spool."""

    chunks: int
    do: Any
    done: bool = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, Spooled) and event.chunks >= self.chunks and not self.done:
            self.done = True
            self.do()


async def owing(
    server: Server, fault: Callable[[], object] | None = None, *, layout: str = "flat", **settings: Any
) -> ReplayOwed:
    """The error of an ingest of PSI whose server is killed after 4 chunks and stays away; or has another fault."""
    hook = when_stored(4000, fault or server.kill)
    error = await refusal(sources.array(PSI), server, layout=layout, hooks=(hook,), settings=SOON | settings)
    assert isinstance(error, ReplayOwed), error
    return error


async def replayed(server: Server, *hooks: Any, anew: bool = False, **settings: Any) -> qwf_async.Report:
    """The report of a replay of the one spool that waits."""
    settings = {"socket_timeout": PATIENCE, "deadline": PATIENCE} | settings

    def hook(event: Event) -> None:
        for each in hooks:
            each(event)

    async with qwf_async.connect(server.url, settings=Settings(**settings)) as store:
        (found,) = await waiting_spools(store)
        return await replay(store, found, Shutdown(drain_timeout=1), hook=hook, anew=anew)
