"""Which signals stop a command."""

from __future__ import annotations

import signal
from typing import Any, Final

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heeded() -> dict[signal.Signals, Any]:
    """The signals that stop a command, with their present handlers: without those that it was begun to ignore.

    nohup(1) has SIGHUP ignored, and a shell has SIGINT ignored by what a script starts in the
    background: the process was asked to live on.
    """
    before = {number: signal.getsignal(number) for number in STOPPING}
    return {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
