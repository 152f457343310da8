"""The asynchronous job of a command, run on an event loop: alone, or on the store that the options name."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import NothingStored
from .options import ServerOptions
from .output import say

if TYPE_CHECKING:
    from ..settings import Settings
    from ..store.store import Store

T = TypeVar("T")


def run_job(job: Callable[[], Awaitable[T]]) -> T:
    """Run one job on uvloop and return its result."""
    import anyio

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set by `main` for the time until now
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return anyio.run(job, backend="asyncio", backend_options={"use_uvloop": sys.platform != "win32"})


def run_on_store(
    job: Callable[[Store], Awaitable[T]],
    options: ServerOptions,
    *,
    quiet: bool = False,
    reading: bool = False,
    nothing: T | None = None,
    **flags: Any,
) -> T:
    """Connect by the settings, with more of them in `flags`, run a job on the store, and return its result.

    Says in one line if the embedded server had to be started, unless `quiet`. With `reading` none is
    started where nothing is stored: NothingStored is raised, or it is said, and the result is `nothing`.
    """
    from ..settings import load

    settings: Settings = load(options.config, warn=say, **options.settings, **flags)

    async def connected() -> T:
        from ..store.connecting import connect

        async with connect(settings=settings, reading=reading) as store:
            if store.embedded is not None and store.embedded.started and not quiet:
                say(f"started the embedded server, data in {settings.data_dir}; 'qwf server stop' ends it")
            return await job(store)

    try:
        return run_job(connected)
    except NothingStored:
        if nothing is None:
            raise
        if not quiet:
            say(
                "nothing is stored yet, and no server runs: 'qwf ingest hydrogen' begins, 'qwf help' shows what else"
            )
        return nothing
