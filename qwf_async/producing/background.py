"""The event loop of a process for code that is not asynchronous, with the stores that are open on it.

A task of dask or of a process pool gets a new copy of its target each time. So the connections
cannot belong to that: they belong to the process, and last until it ends. A connection belongs to
one event loop, which therefore runs in a thread of its own. The thread keeps no process from ending.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple
from weakref import ref

import anyio
from anyio import to_thread
from anyio.from_thread import BlockingPortal

from ..errors import QwfError, Refused, ServerUnavailable, first_error
from ..settings import load as load_settings
from ..store.connecting import connect
from ..store.store import Store

R = TypeVar("R")
Args = TypeVarTuple("Args")

MAX_CLOSING_TIME: Final = 5.0
"""Seconds that the end of a process may wait for its connections to be closed."""


class Background:
    """An event loop in a thread, and what is open on it: stores, `writers` of loads, and wavefunctions to be read.

    `kept` are the tickets of loads that are held while none of them is written.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.writers: dict[str, Any] = {}
        self.read: dict[Any, Any] = {}
        self.kept: dict[str, ref[Any]] = {}
        self._stores: dict[tuple[str | None, Path | None, str], Store] = {}
        self._opening: anyio.Lock
        self._open: AsyncExitStack
        started: Future[BlockingPortal] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="qwf-loop", daemon=True)
        self._thread.start()
        self._portal = started.result()

    def run(self, function: Callable[[*Args], Awaitable[R]], *args: *Args) -> R:
        """The result of an asynchronous function, run on the loop; the calling thread waits for it.

        In place of an ExceptionGroup its first error is raised. One of ours comes without what caused
        it: its message says that, and dask sends on only errors that are short.
        """
        future = self._portal.start_task_soon(function, *args)
        try:
            return future.result()
        except BaseException as error:
            future.cancel()  # the thread was interrupted, or the error is that of the function
            cause = first_error(error)
            if not isinstance(cause, QwfError):
                raise
        cause.__cause__ = cause.__context__ = None
        raise cause.with_traceback(None)

    def start(self, function: Callable[[*Args], Awaitable[object]], *args: *Args) -> None:
        """Run an asynchronous function on the loop, beside all else, until it returns or the loop ends."""
        self._portal.start_task_soon(function, *args)

    async def store(self, url: str | None, data_dir: Path | None, prefix: str) -> Store:
        """The store at a URL without a password, or of an embedded server that runs, kept open. Called on the loop.

        Settings are those of this process. So is the password, unless it was lent (`lend_password`).
        """
        async with self._opening:
            place = (url, data_dir, prefix)
            if place not in self._stores:
                settings = replace(await to_thread.run_sync(load_settings), url=url, prefix=prefix)
                if data_dir is not None:
                    settings = replace(settings, data_dir=data_dir)
                    await _check_runs(data_dir)
                if (known := _PROCESS.passwords.get(url)) is not None:
                    settings = replace(settings, password=known)
                try:
                    store = await self._open.enter_async_context(connect(settings=settings))
                except Refused as error:
                    hint = "a ticket holds no password: set QWF_PASSWORD or password_file where it is used"
                    raise Refused(f"{error}{'' if settings.password else f'; {hint}'}") from error
                self._stores[place] = store
            return self._stores[place]

    def close(self) -> None:
        """Close the connections and end the thread. What is under way is cancelled."""
        self._portal.start_task_soon(self._portal.stop, True)
        self._thread.join(MAX_CLOSING_TIME)

    def _run(self, started: Future[BlockingPortal]) -> None:
        anyio.run(self._serve, started, backend_options={"use_uvloop": sys.platform != "win32"})

    async def _serve(self, started: Future[BlockingPortal]) -> None:
        self._opening = anyio.Lock()
        async with AsyncExitStack() as self._open, BlockingPortal() as portal:
            started.set_result(portal)
            await portal.sleep_until_stopped()


@dataclass(slots=True)
class _Process:
    """What a process has: its background, and the passwords of servers that were opened in it, by URL.

    It is the one thing here that outlives its callers: see the docstring of the module.
    """

    background: Background | None = None
    passwords: dict[str | None, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    of_parents: list[Background | None] = field(default_factory=list)

    def after_fork(self) -> None:
        """Leave what the parent has open to the parent, and do not let it be closed here."""
        self.lock = threading.Lock()
        self.of_parents.append(self.background)
        self.background = None


_PROCESS: Final = _Process()


def background() -> Background:
    """The event loop of this process, started when it is first needed."""
    with _PROCESS.lock:
        if _PROCESS.background is None:
            _PROCESS.background = Background()
        return _PROCESS.background


def lend_password(url: str | None, password: str | None) -> None:
    """Let tickets to this server (a URL without a password) be used in this process with its password."""
    if password:
        _PROCESS.passwords[url] = password


def close_background() -> None:
    """End the event loop of this process, if there is one. It starts anew when it is needed."""
    with _PROCESS.lock:
        running, _PROCESS.background = _PROCESS.background, None
    if running is not None:
        running.close()


async def _check_runs(data_dir: Path) -> None:
    """Raise ServerUnavailable unless all embedded servers of the directory run here: none is started by a ticket."""
    from ..embedded.servers import status

    if not all((await status(data_dir)).values()):
        raise ServerUnavailable(f"the embedded server with data in {data_dir} does not run on this machine")


atexit.register(close_background)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PROCESS.after_fork)
