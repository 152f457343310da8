"""The signals that stop a command, and a handler of ours for them while a block runs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handlers_of_stop_signals() -> dict[signal.Signals, Any]:
    """The signals that stop this process, each with its present handler; without those that it was started to ignore.

    nohup(1) makes its command ignore SIGHUP. A shell makes what a script starts in the background
    ignore SIGINT. Such a process was asked to live on.
    """
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    return {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}


@contextmanager
def stop_signals_handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Run the body with `handler` for the signals that stop this process; the old handlers are put back after it."""
    before = handlers_of_stop_signals()
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
