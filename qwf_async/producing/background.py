"""The event loop of a process for code that is not asynchronous, with the stores that are open on it.

A task of dask or of a process pool gets a new copy of its target each time. So the connections
cannot belong to that: they belong to the process, and last until it ends. A connection belongs to
one event loop, which therefore runs in a thread of its own. The thread keeps no process from ending.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from weakref import ref

import anyio
from anyio import to_thread

from ..errors import Refused, ServerUnavailable
from ..host.loop_thread import LoopThread
from ..settings import load as load_settings
from ..store.connecting import connect
from ..store.store import Store


class Background(LoopThread):
    """The loop of a process, and what is open on it: stores, `writers` of loads, and wavefunctions to be read.

    `kept` are the tickets of loads that are held while none of them is written.
    """

    def __init__(self) -> None:
        self.writers: dict[str, Any] = {}
        self.read: dict[Any, Any] = {}
        self.kept: dict[str, ref[Any]] = {}
        self._stores: dict[tuple[str | None, Path | None, str], Store] = {}
        self._opening = anyio.Lock()
        super().__init__()

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
                    store = await self.opened.enter_async_context(connect(settings=settings))
                except Refused as error:
                    hint = "a ticket holds no password: set QWF_PASSWORD or password_file where it is used"
                    raise Refused(f"{error}{'' if settings.password else f'; {hint}'}") from error
                self._stores[place] = store
            return self._stores[place]


@dataclass(slots=True)
class _Process:
    """What a process has: its background, and the passwords of servers that were opened in it, by URL.

    It is the one thing here that outlives its callers: see the docstring of the module.
    """

    background: Background | None = None
    passwords: dict[str | None, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def after_fork(self) -> None:
        """Leave what the parent has open to the parent."""
        self.lock = threading.Lock()
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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PROCESS.after_fork)
