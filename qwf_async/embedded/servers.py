"""The embedded servers of a data directory, one for each of its shards: started, looked at and stopped together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

from ..errors import QwfError, Refused
from . import lifecycle
from .data_dir import DataDir
from .lock import server_lock
from .shards import settled_shards, shards_of
from .status import RunningServer, ServerStatus

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedServers:
    """Servers that all answered, in the order of their shards. `data_dir` is that of all of them."""

    data_dir: Path
    shards: tuple[RunningServer, ...]

    @property
    def started(self) -> bool:
        """Whether one of them was started by this call."""
        return any(shard.started for shard in self.shards)


async def ensure(
    directory: Path, *, shards: int | None = None, maxmemory: int | None = None
) -> EmbeddedServers:
    """The servers of a data directory; those that do not run are started, all at the same time.

    `shards` is how many there are to be. None is as many as the data directory was made with, and
    1 for a new one. `maxmemory` is in bytes, and shared by all. Raises as `lifecycle.ensure`, and
    as `settled_shards` if there cannot be so many. Those that could be started stay all the same.
    """
    lifecycle.check_platform()
    places = await run_sync(settled_shards, directory, shards)
    job = partial(lifecycle.ensure, maxmemory=maxmemory, sharing=len(places))
    running = await _for_each(job, places)
    return EmbeddedServers(data_dir=await run_sync(_path, directory), shards=running)


async def status(directory: Path) -> dict[Path, ServerStatus | None]:
    """Data directory of a shard → the status of its server; None if it does not run. Raises as `lifecycle.status`."""
    lifecycle.check_platform()
    places = await run_sync(shards_of, directory)
    return dict(zip(places, await _for_each(lifecycle.status, places), strict=True))


async def stop(directory: Path, *, save: bool = True) -> bool:
    """Let the servers of a data directory save and end; True if there was one. Raises as `lifecycle.stop`.

    Where one cannot save, the others have ended nonetheless.
    """
    lifecycle.check_platform()
    places = await run_sync(shards_of, directory)
    return any(await _for_each(partial(lifecycle.stop, save=save), places))


async def purge(directory: Path) -> bool:
    """End the servers of a data directory and remove their files; True if there was anything to end or remove.

    Other files stay, such as spools. Raises Refused if a server is started meanwhile, ServerUnavailable
    if one does not end, and InvalidInput if a file cannot be removed.
    """
    ended = await stop(directory, save=False)
    return await run_sync(_remove, directory) or ended


def _remove(directory: Path) -> bool:
    """Whether there were files to be removed. Blocking."""
    root = DataDir.of(directory)
    places = [DataDir.of(place) for place in shards_of(directory)]
    there = [place for place in places if place.files()]
    for place in there:
        with server_lock(place) as lock:
            if lock is None:
                raise Refused(f"a server of {place.path} was started meanwhile: its data is left alone")
            place.remove()
    # Last of all: while a shard has data, the number of shards has to be known.
    return root.forget_shards() or bool(there)


def _path(directory: Path) -> Path:
    return DataDir.of(directory).path


async def _for_each(job: Callable[[Path], Awaitable[T]], places: Sequence[Path]) -> tuple[T, ...]:
    """The results of a job for each place, all at the same time; the first error once all have ended."""
    results: dict[Path, T] = {}
    errors: dict[Path, QwfError] = {}

    async def work(place: Path) -> None:
        try:
            results[place] = await job(place)
        except QwfError as error:
            errors[place] = error

    async with anyio.create_task_group() as group:
        for place in places:
            group.start_soon(work, place)
    for error in errors.values():
        raise error
    return tuple(results[place] for place in places)
