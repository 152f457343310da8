"""How durable is what several servers hold together: as durable as what the weakest of them holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from ..events import ServerFacts
from .policy import shortened


def weakest(every: Iterable[ServerFacts]) -> str:
    """The durability of what several servers hold, by their settings. Pure."""
    return weakest_of((facts.where, facts.durability) for facts in every)


def weakest_of(said: Iterable[tuple[str, str]]) -> str:
    """The weakest of what is said of several servers, and of which, unless it is said of all. Pure."""
    places: dict[str, list[str]] = defaultdict(list)
    for where, text in said:
        places[text].append(where)
    worst = min(
        places, key=lambda text: next(rank for rank, word in enumerate(_RANKS) if text.startswith(word))
    )
    return worst if len(places) == 1 else f"{worst} on {shortened(places[worst])}"


_RANKS: Final = (
    "memory",
    "unknown",
    "rdb",
    "aof (no)",
    "aof (everysec)",
    "aof (always)",
    "aof (synced)",
    "aof",
)
"""The beginnings of what is said of a server, the weakest first."""
