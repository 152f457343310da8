"""The signals that stop a command, and their handlers for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heeded_signals() -> dict[signal.Signals, Any]:
    """The signals that stop this process, each with its present handler; without those that it was begun to ignore.

    nohup(1) has SIGHUP ignored, and a shell has SIGINT ignored by what a script starts in the
    background: the process was asked to live on.
    """
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    return {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}


@contextmanager
def stop_signals_handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals that stop this process by `handler`; at the end their handlers are put back."""
    before = heeded_signals()
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
