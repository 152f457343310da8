"""The progress of a command while it runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ..events import Event, GateMoved, Hook, MemorySampled, Noted, Progress, Retried, Spooled
from ..wording import printable
from .output import say

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

PROGRESS_INTERVAL: Final = 5.0
"""Seconds between lines where there is no terminal."""

RETRY_INTERVAL: Final = 1.0
"""Seconds between lines about retries: an outage makes many at once."""


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Hook]:
    """A hook that shows events on standard error, with a bar if that is a terminal; if `quiet`, it shows nothing."""
    if quiet:
        yield _nothing
    elif sys.stderr.isatty():
        with _bar() as hook:
            yield hook
    else:
        yield _ProgressLines()


def _nothing(event: Event) -> None:
    """Show nothing."""


class _Messages:
    """The messages of events that the user should know; retries at most once in RETRY_INTERVAL seconds."""

    def __init__(self) -> None:
        self._last_retry = 0.0

    def text(self, event: Event) -> str | None:
        match event:
            case Noted():
                return f"warning: {event.text}" if event.warning else event.text
            case GateMoved():
                return f"{'paused' if event.shut else 'going on'}: {event.reason}"
            case Retried() if time.monotonic() - self._last_retry > RETRY_INTERVAL:
                self._last_retry = time.monotonic()
                return f"trying again: {event.reason}"
        return None


class _Memory:
    """The memory of all servers together, by their last samples."""

    def __init__(self) -> None:
        self._samples: dict[str, MemorySampled] = {}

    def add(self, event: MemorySampled) -> None:
        self._samples[event.where] = event

    @property
    def used(self) -> int:
        return sum(sample.used for sample in self._samples.values())

    @property
    def fill(self) -> float | None:
        """How full the fullest server is, as a share of its limit; None without limits."""
        return max((each.used / each.limit for each in self._samples.values() if each.limit), default=None)


class _ProgressLines:
    """Plain lines on standard error, for logs."""

    def __init__(self) -> None:
        self._start = self._last_line = time.monotonic()
        self._first: int | None = None
        self._memory = _Memory()
        self._messages = _Messages()

    def __call__(self, event: Event) -> None:
        if isinstance(event, MemorySampled):
            self._memory.add(event)
        elif isinstance(event, Progress):
            self._progress(event)
        elif (text := self._messages.text(event)) is not None:
            say(text)

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = event.points
        if now - self._last_line < PROGRESS_INTERVAL:
            return
        self._last_line = now
        rate = (event.points - self._first) / (now - self._start)
        left = (event.total - event.points) / rate if rate else float("inf")
        memory = f", server memory {self._memory.used / 1e6:,.0f} MB" if self._memory.used else ""
        megabytes = event.bytes_sent / 1e6 / (now - self._start)
        sent = f", {megabytes:,.1f} MB/s" if event.bytes_sent else ""
        say(
            f"{event.points:,} of {event.total:,} points ({event.points / event.total:.0%}), "
            f"{rate:,.0f} points/s{sent}, {left:,.0f} s left{memory}"
        )


@contextmanager
def _bar() -> Iterator[Hook]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns: list[ProgressColumn | str] = [
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[memory]}"),
    ]
    start = time.monotonic()
    messages, servers = _Messages(), _Memory()
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=5, transient=True) as bar:
        task = bar.add_task("", total=None, rate="", memory="")

        def hook(event: Event) -> None:
            changes: dict[str, Any] = {}
            if isinstance(event, Progress):
                megabytes = event.bytes_sent / 1e6 / max(1e-9, time.monotonic() - start)
                speed = bar.tasks[0].speed or 0.0
                changes = {"completed": event.points, "total": event.total}
                changes["rate"] = f"{speed / 1e6:.2f} M points/s, {megabytes:.0f} MB/s"
            elif isinstance(event, Spooled):
                done = "being replayed from" if event.replaying else "in"
                waiting = f"{event.chunks} chunks ({event.nbytes / 1e6:,.0f} MB) {done} the spool"
                changes = {"memory": waiting if event.chunks else ""}
            elif isinstance(event, MemorySampled):
                servers.add(event)
                share = "" if servers.fill is None else f" ({servers.fill:.0%})"
                changes = {"memory": f"server {servers.used / 1e6:,.0f} MB{share}"}
            elif (text := messages.text(event)) is not None:
                bar.console.print(printable(text), markup=False, highlight=False)
            if changes:
                bar.update(task, **changes)

        yield hook
