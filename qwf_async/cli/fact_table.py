"""A table of facts by name, as `qwf info` and `qwf ingest --dry-run` print it; JSON has the facts as they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ..human import age, count, duration, share, size
from .output import show

HUMAN: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "points": ("points", count),
    "keys": ("keys", count),
    "fields": ("fields", count),
    "fields_of_first_key": ("fields_of_first_key", count),
    "chunks": ("chunks", count),
    "groups": ("groups", count),
    "bytes_per_point": ("bytes a point", lambda nbytes: f"{nbytes:.1f}"),
    "stored_bytes": ("memory", lambda nbytes: f"about {size(nbytes)}"),
    "predicted_bytes": ("predicted memory", size),
    "age_seconds": ("age", age),
    "used": ("memory used", size),
    "limit": ("maxmemory", size),
    "machine": ("memory of the machine", size),
    "uptime": ("uptime", duration),
    "peak": ("memory peak", size),
    "rss": ("memory of its process", size),
    "fragmentation": ("fragmentation", lambda ratio: f"{ratio:.2f}"),
    "input_rate": ("network in", lambda kilobytes: f"{size(1000 * kilobytes)}/s"),
    "output_rate": ("network out", lambda kilobytes: f"{size(1000 * kilobytes)}/s"),
    "input_bytes": ("received", size),
    "output_bytes": ("sent", size),
    "commands": ("commands", count),
    "hits": ("hits", count),
    "misses": ("misses", count),
    "hit_rate": ("hit rate", share),
    "evicted": ("evicted", count),
    "expired": ("expired", count),
    "blocked_clients": ("blocked clients", count),
    "changes_since_save": ("changes since save", count),
    "last_save": ("last save", lambda seconds: age(time.time() - seconds)),
    "last_save_ok": ("last save worked", str),
    "aof": ("append-only file", str),
    "aof_rewriting": ("append-only file rewriting", str),
    "aof_write_ok": ("append-only file writing works", str),
    "primary_link": ("primary", str),
    "is_up": ("up", str),
    "lag_bytes": ("lag", size),
    "lag_seconds": ("heard of", age),
    "silent_seconds": ("heard of", age),
    "commands_per_second": ("commands/s", count),
    "success": ("success", share),
    "reuse": ("reuse", share),
    "clients": ("clients", count),
    "max_clients": ("max clients", count),
    "trials": ("trials", count),
}
"""Fact → its label, and how its number is shown to people."""

_GROUPS: Final = {"nodes": "node", "replica_links": "replica"}
"""Fact that is a list of facts each → what one of them is called."""


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print a line for each fact on standard output; each fact of a group, and each axis, has a line of its own."""
    rows = list(_rows(facts))
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        show(f"{label:{width}}  {text}")


def _rows(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for fact, value in facts.items():
        if fact == "axes":
            yield from ((f"axis {axis['name']}", _axis(axis)) for axis in value)
        elif fact in _GROUPS:
            for number, one in enumerate(value):
                yield from ((f"{_GROUPS[fact]} {number} {label}", text) for label, text in _rows(one))
        elif isinstance(value, dict):
            yield from ((f"{fact} {label}", text) for label, text in _rows(value))
        else:
            label, words = HUMAN.get(fact, (fact, None))
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            yield label, words(value) if words is not None and is_number else _words(value)


def _axis(axis: Mapping[str, Any]) -> str:
    begins = f"from {axis['origin']:.6g}, step "
    return begins + (
        "unknown" if axis["step"] is None else f"{axis['step']:.6g} {axis['unit'] or ''}".rstrip()
    )


def _words(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, list | tuple):
        return ("×" if value and isinstance(value[0], int) else ", ").join(map(str, value)) or "none"
    return str(value) or "none"
