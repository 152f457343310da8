"""The view of servers that `qwf watch` shows: a live page on a terminal, lines elsewhere, or JSON lines."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from ..events import Event, GateMoved, Hook, Noted, ServerSampled, SlowCommand
from .output import print_json, say
from .sample_json import SampleJson

if TYPE_CHECKING:
    from rich.console import Console

    from .server_panel import ServerPanel

SERVER_INTERVAL: Final = 10.0
"""Seconds between lines where there is no terminal, at least."""

REFRESH: Final = 4
"""Times a second that the page is drawn: ages go on, and it follows the size of the terminal."""

KEPT: Final = 100
"""Slow commands and notes that are kept for the page."""


@contextmanager
def shown_server(*, as_json: bool, quiet: bool, watermark: float) -> Iterator[Hook]:
    """A hook that shows a server: JSON lines on standard output, a live page, or lines on standard error.

    Memory at the `watermark`, a share, is shown as a warning.
    """
    if as_json:
        yield _JsonLines()
    elif quiet:
        yield lambda event: None
    elif sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        with _live(watermark) as hook:
            yield hook
    else:
        yield _ServerLines()


@contextmanager
def shown_once(*, as_json: bool, watermark: float) -> Iterator[Hook]:
    """A hook that shows one sample on standard output: as JSON, or as the page with all that there is."""
    if as_json:
        yield _JsonLines()
        return
    page = _Page(watermark)

    def hook(event: Event) -> None:
        page.take(event)
        if isinstance(event, ServerSampled):
            _console().print(page.panel(whole=True))

    yield hook


class _JsonLines:
    """A JSON object a line on standard output, flushed."""

    def __init__(self) -> None:
        self._json = SampleJson()

    def __call__(self, event: Event) -> None:
        if isinstance(event, ServerSampled):
            print_json(self._json.of(event, time.time()))
        elif isinstance(event, Noted | GateMoved):
            print_json({"time": time.time(), **asdict(event)})
        sys.stdout.flush()


class _ServerLines:
    """Plain lines on standard error, for logs."""

    def __init__(self) -> None:
        self._last_line = -SERVER_INTERVAL

    def __call__(self, event: Event) -> None:
        if isinstance(event, ServerSampled):
            from .server_lines import news_lines, state_lines

            for line in news_lines(event):
                say(line)
            if time.monotonic() - self._last_line >= SERVER_INTERVAL:
                self._last_line = time.monotonic()
                for line in state_lines(event):
                    say(line)
        elif (text := _note(event)) is not None:
            say(text)


def _note(event: Event) -> str | None:
    if isinstance(event, Noted):
        return event.text
    if isinstance(event, GateMoved):
        return f"{'above the watermark' if event.shut else 'below the watermark'}: {event.reason}"
    return None


class _Page:
    """What is on the page: the last sample, and of slow commands and notes the latest."""

    def __init__(self, watermark: float) -> None:
        self._watermark = watermark
        self._sample = ServerSampled(facts=())
        self._slow: deque[tuple[str, SlowCommand]] = deque(maxlen=KEPT)
        self.notes: deque[tuple[float, str, str]] = deque(maxlen=KEPT)

    def take(self, event: Event) -> None:
        from .server_words import WARN

        if isinstance(event, ServerSampled):
            self._sample = event
            new = [(facts.where, each) for facts in event.facts for each in facts.slow_log or ()]
            new.sort(key=lambda pair: pair[1].time)
            self._slow.extendleft(new)
        elif (text := _note(event)) is not None:
            warns = event.shut if isinstance(event, GateMoved) else isinstance(event, Noted) and event.warning
            self.notes.appendleft((time.time(), text, WARN if warns else ""))

    def panel(self, *, whole: bool = False) -> ServerPanel:
        from .server_panel import ServerPanel

        return ServerPanel(
            sample=self._sample,
            watermark=self._watermark,
            slow=list(self._slow),
            notes=list(self.notes),
            whole=whole,
        )

    def __rich__(self) -> ServerPanel:
        return self.panel()


def _console() -> Console:
    """Lines are cut where the terminal ends, and nowhere else."""
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=1000)


@contextmanager
def _live(watermark: float) -> Iterator[Hook]:
    """The page on a screen of its own; the terminal is as before at the end, and the notes are said there."""
    from rich.live import Live

    page = _Page(watermark)
    try:
        # Only the thread of Live writes: a terminal that takes nothing (Ctrl-S) must not hold the event loop up.
        with Live(page, console=_console(), screen=True, refresh_per_second=REFRESH):
            yield page.take
    finally:
        for _, text, _ in reversed(page.notes):
            say(text)
