"""Shutdown in two stages: after the first signal what is under way is finished, the second ends the process.

Only the command line and `ingest(..., signals=True)` listen to signals.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final, Literal

import anyio

from ..errors import Interrupted, first_error, status_of
from ..host.signals import handlers_of_stop_signals
from ..wording import flag

LAST_GRACE: Final = 0.8
"""Seconds from the second signal to the end of the process, even if a thread is in a long read."""


def _nobody(text: str) -> None:
    """Notify nobody."""


@dataclass(slots=True, kw_only=True)
class Shutdown:
    """Whether a signal has come, and the scope that it cancels.

    The first signal sets `stopping` and `signum`, its number. It also cancels `scope`: at once,
    or while a `drained` body runs, after `drain_timeout` seconds.
    """

    drain_timeout: float
    notify: Callable[[str], None] = _nobody
    stopping: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    signum: int | None = None
    _drains: bool = False

    @contextmanager
    def drained(self) -> Iterator[None]:
        """Run the body in a new `scope`, with time to drain."""
        self.scope = anyio.CancelScope()
        self._drains = True
        if self.stopping.is_set():
            self.scope.cancel()
        with self.scope:
            yield

    def stop(self, signum: int) -> None:
        """Act on the first signal."""
        self.signum = signum
        self.stopping.set()
        self.scope.deadline = anyio.current_time() + (self.drain_timeout if self._drains else 0)
        if self._drains:
            self.notify(
                f"stopping: finishing what is on its way, {self.drain_timeout:g} s at most; a second signal ends "
                f"at once; {flag('resume')} goes on later"
            )

    def interrupted(self, what: str) -> Interrupted:
        """The error to raise after a stop. `what` says what is left."""
        signum = self.signum or 0
        return Interrupted(
            f"stopped by {signal.Signals(signum).name if signum else 'request'}; {what}", signum
        )


@asynccontextmanager
async def shutdown_on_signals(
    drain_timeout: float,
    *,
    enabled: bool | AsyncIterator[int] = True,
    notify: Callable[[str], None] = _nobody,
) -> AsyncIterator[Shutdown]:
    """Run the body so that signals stop it in two stages.

    First signal: `stopping` is set, and the scope in which the body works is cancelled, after
    `drain_timeout` seconds if the body drains. Second signal: the scope is cancelled at once,
    and the process ends within a second, even if a thread would hold it. `enabled`: False, or the
    numbers of the signals as they arrive, from who receives them. `notify` is called when draining
    begins. In place of an ExceptionGroup its first error is raised: callers learn what went
    wrong, not in how many tasks.
    """
    shutdown = Shutdown(drain_timeout=drain_timeout, notify=notify)
    try:
        async with _listening(shutdown, enabled) if enabled else nullcontext():
            yield shutdown
    except BaseExceptionGroup as group:
        raise first_error(group) from group


@asynccontextmanager
async def _listening(shutdown: Shutdown, signals: AsyncIterator[int] | Literal[True]) -> AsyncIterator[None]:
    """Run the body beside a task that receives signals. The task is outside of `shutdown.scope`:
    inside, it would be cancelled before the second signal comes."""
    async with anyio.create_task_group() as tasks:
        with _signals() if signals is True else nullcontext(signals) as received:

            async def listen() -> None:
                shutdown.stop(int(await anext(received)))
                await anext(received)
                end = threading.Timer(LAST_GRACE, os._exit, (status_of(shutdown.signum or 0),))
                end.daemon = True
                end.start()
                shutdown.scope.cancel()

            tasks.start_soon(listen)
            yield
            tasks.cancel_scope.cancel()


@contextmanager
def _signals() -> Iterator[AsyncIterator[int]]:
    """The signals as they arrive. At the end the caller's handlers are put back: event loops set others."""
    before = handlers_of_stop_signals()
    try:
        with anyio.open_signal_receiver(*before) as received:
            yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
