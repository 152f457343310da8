"""Orphans: keys of generations that no record of their name knows.

They are what late requests of a dead client left, or what is left of records that were lost.

A generation is known before its first key is written, by the records `load` or `trash`. It is
known until its last key was removed, by `load`, `meta` or `trash`, and it is never begun twice.
So a key may be removed if, after it was listed, none of the three knows its generation: a load
that begins at that moment has another generation. Only hashes whose names have exactly the form
of ours are looked at. A name whose records cannot be read is left alone.

Only SCAN lists what there is on a server, and it lists the keys of all its users. It needs a
right that no other command of this package needs, and it is done slowly.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import anyio

from ..client.failure import WrongType
from ..client.following import send_commands
from ..client.pool import Pool
from ..client.reply import is_number, is_scanned
from ..client.retry import until_available
from ..errors import DamagedData, Refused
from ..layout import LAYOUTS
from .index import known_names, leave
from .key_memory import MAX_SAMPLED_KEYS, sampled_bytes
from .keys import Keys, key_parser
from .name_state import read_state
from .scripts import enter, unknown_generations
from .scripts.index_entries import BEGINNING

PAGE_KEYS: Final = 1000
"""Keys that a step of SCAN looks at, about: half a millisecond of the server's time."""

PAUSE: Final = 0.005
"""Seconds between two steps, which leave the server to others: at most 200,000 keys a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A generation that no record knows: its keys, and by a sample their bytes, None if MEMORY is forbidden."""

    name: str
    generation: str
    keys: int
    bytes: int | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class _Count:
    keys: int = 0
    sampled: int = 0
    bytes: int = 0


async def find_orphans(pool: Pool, prefix: str, *, remove: bool = False) -> list[Orphan]:
    """The generations under a prefix that no record knows, sorted; with `remove` each page of their keys is deleted.

    With `remove`, names that have records and are missing in the index are also entered in it,
    so that `clean` finds them again. Raises Refused if the server forbids SCAN, and
    ServerUnavailable.
    """
    owner_of = key_parser(prefix, (layout.key_ending for layout in LAYOUTS.values()))
    counts: dict[tuple[str, str], _Count] = {}
    names_with_records: set[str] = set()
    may_measure = True
    async for page in _hashes(pool, prefix):
        by_name: dict[str, dict[str, list[bytes]]] = {}
        for key in page:
            owner = owner_of(key)
            if owner and owner.generation:
                by_name.setdefault(owner.name, {}).setdefault(owner.generation, []).append(key)
            elif owner:
                names_with_records.add(owner.name)
        for name, generations in by_name.items():
            for generation in await _unknown(pool, Keys(prefix=prefix, name=name), list(generations)):
                orphaned = generations[generation]
                count = counts.setdefault((name, generation), _Count())
                may_measure = may_measure and await _measure(pool, orphaned, count)
                commands = [["UNLINK" if remove else "EXISTS", key] for key in orphaned]
                # Keys that are gone by now were of a generation in the trash when SCAN listed them.
                count.keys += sum(await _counted(pool, commands))
    if remove:
        for name in names_with_records.difference(await known_names(pool, prefix)):
            await enter(pool, Keys(prefix=prefix, name=name), BEGINNING)
            await leave(pool, Keys(prefix=prefix, name=name))
    return [
        Orphan(
            name=name, generation=generation, keys=count.keys, bytes=_bytes(count) if may_measure else None
        )
        for (name, generation), count in sorted(counts.items(), key=lambda item: item[0])
        if count.keys
    ]


async def _hashes(pool: Pool, prefix: str) -> AsyncIterator[Sequence[bytes]]:
    """The keys of the hashes under a prefix, page by page, of one server after the other."""
    for node in pool.nodes:
        cursor = b"0"
        while True:
            cursor, page = await node.call(
                "SCAN", cursor, "MATCH", f"{prefix}:*", "COUNT", PAGE_KEYS, "TYPE", "hash",
                expect=is_scanned, doing="looking for keys that nobody knows",
            )  # fmt: skip
            yield page
            if cursor == b"0":
                break
            await anyio.sleep(PAUSE)


async def _unknown(pool: Pool, keys: Keys, generations: list[str]) -> list[str]:
    """Those of the generations that no record of the name knows; none if a record cannot be read."""
    try:
        await read_state(pool, keys)
        return await unknown_generations(pool, keys, generations)
    except (DamagedData, WrongType):
        return []


async def _counted(pool: Pool, commands: Sequence[Sequence[bytes | str]]) -> list[int]:
    """The replies to commands that count keys."""
    return await until_available(
        lambda: send_commands(pool, commands, expect=is_number, doing="looking at keys"), pool.retry
    )


async def _measure(pool: Pool, keys: list[bytes], count: _Count) -> bool:
    """Add the memory of some keys to that of their generation. False if the server forbids MEMORY."""
    try:
        sizes = await sampled_bytes(pool, keys, fields=100, most=MAX_SAMPLED_KEYS - count.sampled)
    except Refused:
        return False
    count.sampled += len(sizes)
    count.bytes += sum(size or 0 for size in sizes)
    return True


def _bytes(count: _Count) -> int:
    return count.bytes * count.keys // max(1, count.sampled)
