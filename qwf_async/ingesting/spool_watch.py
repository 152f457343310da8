"""The spools of a store on this machine, watched: what waits in them, and their replay.

To look into a spool would let a second process open it, if this one has it open (`spool.head`
says why). So what waits is counted only while nothing is replayed here.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from ..errors import QwfError
from ..events import Event, Hook, Noted, Spooled, SpoolSampled
from ..spool import SpoolEntry, SpoolFile
from ..store.store import Store
from .leftover_spools import waiting_spools
from .replay import replay
from .shutdown import Shutdown

_FILES: Final = ("", "-wal")
"""Endings of the files in which SQLite keeps what waits."""

Stamp = tuple[tuple[int, int], ...]
"""Size and time of change (ns) of each of the files."""


@dataclass(slots=True)
class SpoolWatch:
    """What waits in the spools of a store, and how it comes to the server."""

    store: Store
    hook: Hook
    _counts: dict[Path, tuple[Stamp, int]] = field(default_factory=dict)
    _replayed: dict[str, Spooled] = field(default_factory=dict)
    _last_errors: dict[Path, str] = field(default_factory=dict)
    _replaying: anyio.Lock = field(default_factory=anyio.Lock)

    async def sample(self) -> tuple[SpoolSampled, ...]:
        """The spools that wait, oldest first. One is opened only if it has changed since, and nothing is replayed."""
        waiting = await waiting_spools(self.store)
        stamps = await anyio.to_thread.run_sync(lambda: [_stamp(spool.path) for spool in waiting])
        return tuple([await self._look(spool, stamp) for spool, stamp in zip(waiting, stamps, strict=True)])

    async def replay_all(self) -> None:
        """Replay each spool that waits. The hook is told what was replayed, and once of each that cannot be."""
        for spool in await waiting_spools(self.store):
            async with self._replaying:
                try:
                    report = await replay(self.store, spool, Shutdown(drain_timeout=0), hook=self._note)
                except QwfError as error:  # in use by a living process, or superseded
                    if self._last_errors.get(spool.path) != str(error):
                        self.hook(Noted(text=f"cannot replay {spool.path}: {error}", warning=True))
                    self._last_errors[spool.path] = str(error)
                else:
                    self.hook(
                        Noted(text=f"{report.name} is published: what waited in {spool.path} was replayed")
                    )
                finally:
                    self._replayed.clear()

    def _note(self, event: Event) -> None:
        if isinstance(event, Spooled):
            self._replayed[event.where] = event
        self.hook(event)

    async def _look(self, spool: SpoolEntry, stamp: Stamp) -> SpoolSampled:
        nbytes, chunks = sum(size for size, _ in stamp), None
        if spool.head is None:
            return SpoolSampled(
                path=str(spool.path), name=None, chunks=None, nbytes=nbytes, problem=spool.problem
            )
        if (told := self._replayed.get(str(spool.path))) is not None:
            chunks = told.chunks
        elif self._counts.get(spool.path, (None, None))[0] == stamp:
            chunks = self._counts[spool.path][1]
        else:
            with suppress(anyio.WouldBlock):
                self._replaying.acquire_nowait()
                try:
                    stamp, chunks = await anyio.to_thread.run_sync(self._count, spool.path)
                finally:
                    self._replaying.release()
                if chunks is not None:
                    self._counts[spool.path] = stamp, chunks
        return SpoolSampled(path=str(spool.path), name=spool.head.name, chunks=chunks, nbytes=nbytes)

    def _count(self, path: Path) -> tuple[Stamp, int | None]:
        """Chunks that wait in a spool; None if a process has it open, or it cannot be read."""
        chunks = None
        with suppress(QwfError), closing(SpoolFile.open(path, limit=self.store.settings.spool_limit)) as file:
            chunks = len(file.chunks)
        return _stamp(path), chunks


def _stamp(path: Path) -> Stamp:
    """Files that are not there have no bytes."""
    states = []
    for ending in _FILES:
        with suppress(OSError):
            state = os.stat(f"{path}{ending}")
            states.append((state.st_size, state.st_mtime_ns))
    return tuple(states)
