"""`store.ingest`: the asynchronous ingest, and what Ctrl-C does to it."""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio

from ..errors import UsageError
from ..host.loop_thread import LoopThread
from ..host.signals import stop_signals_handled
from ..store import store as asynchronous
from ..wording import again_with, flag
from .face import LoopFace, signed

P = ParamSpec("P")
R = TypeVar("R")
X = TypeVar("X")


def stopped_by_signals(
    ingest: Callable[Concatenate[X, asynchronous.Store, P], Awaitable[R]],
) -> Callable[Concatenate[LoopFace[asynchronous.Store], X, P], R]:
    """The method of a synchronous store that runs an asynchronous ingest, whose arguments are source, store, name, ….

    Ctrl-C cancels it, and the KeyboardInterrupt says that it can be resumed. With `signals` SIGINT,
    SIGTERM and SIGHUP let it finish what is on its way instead, and Interrupted is raised.
    """

    @wraps(ingest)
    def method(self: LoopFace[asynchronous.Store], source: X, /, *args: P.args, **kwargs: P.kwargs) -> R:
        options: Any = kwargs
        if options.get("signals") is True:
            with handed_on(self._loop) as numbers:
                options = options | {"signals": numbers}
                return self._loop.run(partial(ingest, source, self._behind, *args, **options))
        try:
            return self._loop.run(partial(ingest, source, self._behind, *args, **kwargs))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"the ingest was stopped: {again_with('resume')}, and it goes on where it was"
            ) from None

    return signed(method, ingest, known={1})


@contextmanager
def handed_on(loop: LoopThread) -> Iterator[AsyncIterator[int]]:
    """The signals that stop the process, for a job on a loop. Raises UsageError in other threads than the main one."""
    if threading.current_thread() is not threading.main_thread():
        raise UsageError(f"{flag('signals')} is for the main thread: no other receives signals")
    send, receive = anyio.create_memory_object_stream[int](math.inf)
    with send, receive, stop_signals_handled(lambda number, _: loop.soon(send.send_nowait, number)):
        yield receive
