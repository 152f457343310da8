"""A sample of a watched store as plain lines, for a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..human import count, duration, share, size
from .server_words import connections, known, load, more, place, rate_of, replication, spool

if TYPE_CHECKING:
    from ..events import ServerFacts, ServerSampled
    from .text_rows import Cell


def state_lines(sample: ServerSampled) -> Iterator[str]:
    """A line for each server that answers, for each load under way and for each spool that waits."""
    for facts in sample.facts:
        where = "" if facts.slots is None else f"{place(facts.where)}: "
        yield where + ", ".join(_server(facts))
    for each in sample.loads or ():
        name, _, *rest = map(_plain, load(each))
        yield f"load {name}: {', '.join(text for text in rest if text)}"
    for waiting in sample.spools:
        yield f"spool {', '.join(map(_plain, spool(waiting)))}"
    if any(sample.connections.get(name) for name in ("failed", "lost", "timeouts", "turned_away")):
        yield f"connections: {', '.join(map(_plain, connections(sample.connections)))}"


def news_lines(sample: ServerSampled) -> Iterator[str]:
    """A line for each slow command since the last sample; what was before the first is no news."""
    for facts in sample.facts:
        where = "" if facts.slots is None else f"{place(facts.where)}: "
        for command in (facts.slow_log or ())[::-1] if facts.recent else ():
            yield f"{where}slow: {command.command} took {duration(command.seconds)}"


def _server(facts: ServerFacts) -> Iterator[str]:
    yield f"server {facts.software or 'unknown'} {facts.version or ''}".rstrip()
    limit = "no limit" if facts.limit is None else size(facts.limit)
    yield f"memory {known(facts.used, how=size)} of {limit}" + (
        "" if facts.fill is None else f" ({share(facts.fill)})"
    )
    yield f"policy {facts.policy or 'unknown'}"
    if facts.slots is not None:
        yield f"slots {count(facts.slots)}"
    yield f"clients {known(facts.clients)}"
    yield f"rejected {more(facts.rejected, facts.recent.rejected if facts.recent else None)}"
    yield f"commands/s {known(facts.commands_per_second)}"
    yield f"network in {rate_of(facts.input_rate)}"
    yield f"network out {rate_of(facts.output_rate)}"
    if facts.hit_rate is not None:
        yield f"hits {share(facts.hit_rate)}"
    yield f"evicted {known(facts.evicted)}"
    yield from map(_plain, replication(facts))
    yield f"saving {'yes' if facts.saving else 'no'}"


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]
