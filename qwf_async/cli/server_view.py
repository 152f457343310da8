"""The view of servers that `qwf watch` shows: a live table on a terminal, lines elsewhere, or JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from ..events import Event, GateMoved, Hook, MemorySampled, Noted, ServerFacts, ServerSampled
from ..human import share, size
from ..wording import printable
from .output import print_json, say

if TYPE_CHECKING:
    from rich.table import Table

SERVER_INTERVAL: Final = 10.0
"""Seconds between lines where there is no terminal."""


@contextmanager
def shown_server(*, as_json: bool, quiet: bool) -> Iterator[Hook]:
    """A hook that shows a server: JSON lines on standard output, a live table, or lines on standard error."""
    if as_json:
        yield _json_line
    elif quiet:
        yield lambda event: None
    elif sys.stdout.isatty():
        with _live() as hook:
            yield hook
    else:
        yield _ServerLines()


def _json_line(event: Event) -> None:
    if isinstance(event, ServerSampled):
        now = time.time()
        for facts in event.facts:
            print_json({"time": now, **asdict(facts)})
    elif isinstance(event, Noted | GateMoved):
        print_json({"time": time.time(), **asdict(event)})
    sys.stdout.flush()


class _ServerLines:
    """Plain lines on standard error, for logs."""

    def __init__(self) -> None:
        self._last_line = -SERVER_INTERVAL

    def __call__(self, event: Event) -> None:
        if isinstance(event, ServerSampled) and time.monotonic() - self._last_line >= SERVER_INTERVAL:
            self._last_line = time.monotonic()
            for facts in event.facts:
                where = "" if facts.slots is None else f"{facts.where}: "
                say(where + ", ".join(f"{name} {value}" for name, value in rows_of(facts).items()))
        elif (text := _note(event)) is not None:
            say(text)


def _note(event: Event) -> str | None:
    if isinstance(event, Noted):
        return event.text
    if isinstance(event, GateMoved):
        return f"{'above the watermark' if event.shut else 'below the watermark'}: {event.reason}"
    return None


@contextmanager
def _live() -> Iterator[Hook]:
    from rich.live import Live

    with Live(refresh_per_second=4, transient=True) as live:

        def hook(event: Event) -> None:
            if isinstance(event, ServerSampled) and event.facts:
                live.update(_table(event.facts))
            elif not isinstance(event, MemorySampled) and (text := _note(event)) is not None:
                live.console.print(printable(text), markup=False, highlight=False)

        yield hook


def _table(every: Sequence[ServerFacts]) -> Table:
    """What is shown of one server, a line for each fact; or of several, a row for each of them."""
    from rich.table import Table
    from rich.text import Text

    if every[0].slots is None:
        table = Table.grid(padding=(0, 2))
        for name, value in rows_of(every[0]).items():
            table.add_row(name, Text(printable(str(value))))
        return table
    table = Table(box=None, padding=(0, 2, 0, 0))
    rows = [{"node": facts.where, **rows_of(facts)} for facts in every]
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(printable(str(value))) for value in row.values()))
    return table


def rows_of(facts: ServerFacts) -> dict[str, str | int | None]:
    """What a reader is shown of a server, by its label: texts with their units, numbers as they are."""
    used = "unknown" if facts.used is None else size(facts.used)
    filled = f" ({share(facts.used / facts.limit)})" if facts.used is not None and facts.limit else ""
    limit = "no limit" if facts.limit is None else f"{size(facts.limit)}{filled}"
    return {
        "server": f"{facts.software or 'unknown'} {facts.version or ''}",
        "memory": f"{used} of {limit}",
        "policy": facts.policy or "unknown",
        **({} if facts.slots is None else {"slots": facts.slots, "replicas": facts.replicas}),
        "clients": facts.clients,
        "rejected": facts.rejected,
        "commands/s": facts.commands_per_second,
        "network in": None if facts.input_rate is None else f"{size(1000 * facts.input_rate)}/s",
        "saving": "yes" if facts.saving else "no",
    }
