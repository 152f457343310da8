"""The progress of a command while it runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ..events import Event, GateMoved, Hook, MemorySampled, Noted, Progress, Retried, Spooled
from ..human import count, counted, duration, share, size
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


def _spool_text(event: Spooled, *, named: bool) -> str:
    """What waits in the spool, in words, with its path if it is to be `named`; nothing if nothing waits."""
    if not event.chunks:
        return ""
    waiting = f"{counted(event.chunks, 'chunk')} ({size(event.nbytes)})"
    where = f"the spool {event.where}" if named else "the spool"
    return f"{waiting} {'being replayed from' if event.replaying else 'waiting in'} {where}"


class _ProgressLines:
    """Plain lines on standard error, for logs."""

    def __init__(self) -> None:
        self._last_line = time.monotonic()
        self._first: tuple[float, Progress] | None = None
        self._memory = _Memory()
        self._messages = _Messages()
        self._spool = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, MemorySampled):
            self._memory.add(event)
        elif isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Spooled):
            self._spool = _spool_text(event, named=True)
        elif (text := self._messages.text(event)) is not None:
            say(text)

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        if self._first is None or self._first[1].phase != event.phase:
            self._first = now, event
        if now - self._last_line < PROGRESS_INTERVAL:
            return
        self._last_line = now
        begun, first = self._first
        seconds = max(1e-9, now - begun)
        rate = (event.points - first.points) / seconds
        parts = [
            f"{event.phase + ': ' if event.phase else ''}{count(event.points)} of {counted(event.total, 'point')} "
            f"({share(event.points / event.total)})",
            f"{count(rate)} points/s",
        ]
        if event.bytes_sent:
            parts.append(f"{size((event.bytes_sent - first.bytes_sent) / seconds)}/s")
        if rate:
            parts.append(f"{duration((event.total - event.points) / rate)} left")
        if self._memory.used:
            parts.append(f"server memory {size(self._memory.used)}")
        if self._spool:
            parts.append(self._spool)
        say(", ".join(parts))


@contextmanager
def _bar() -> Iterator[Hook]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns: list[ProgressColumn | str] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[memory]}"),
    ]
    messages, servers = _Messages(), _Memory()
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=5, transient=True) as bar:
        task = bar.add_task("", total=None, rate="", memory="")

        def hook(event: Event) -> None:
            changes: dict[str, Any] = {}
            if isinstance(event, Progress):
                if event.phase != bar.tasks[0].description:  # each phase has a rate of its own
                    bar.reset(task, description=event.phase)
                speed = bar.tasks[0].speed or 0.0
                changes = {"completed": event.points, "total": event.total}
                changes["rate"] = f"{count(speed)} points/s"
                if event.bytes_sent:
                    changes["rate"] += f", {size(speed * event.bytes_sent / max(1, event.points))}/s"
            elif isinstance(event, Spooled):  # a note says where it is
                changes = {"memory": _spool_text(event, named=False)}
            elif isinstance(event, MemorySampled):
                servers.add(event)
                fill = "" if servers.fill is None else f" ({share(servers.fill)})"
                changes = {"memory": f"server {size(servers.used)}{fill}"}
            elif (text := messages.text(event)) is not None:
                bar.console.print(printable(text), markup=False, highlight=False)
            if changes:
                bar.update(task, **changes)

        yield hook
