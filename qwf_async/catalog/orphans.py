"""Keys of generations that nobody knows: what late bytes of a dead client left, and records that were lost.

A generation is known before its first key is written, by `load` or `trash`, and until its last
key was removed, by `load`, `meta` or `trash`; it is never begun twice. So a key whose
generation none of the three knows, after the key was seen, will not be missed by anybody: a
load that begins in that moment has another generation. Looked at are keys of the form of our
own, and hashes, to the letter; a name whose records cannot be read is left alone.

What there is on a server can only be learned by SCAN, which sees all that others have there
too: it wants a right that no other command of this package wants, and is done slowly.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import anyio

from ..client.failure import WrongType
from ..client.pool import Pool
from ..client.reply import is_number, is_number_or_none, is_scanned
from ..errors import DamagedData, Refused
from .index import known_names, leave
from .keys import Keys, key_parser
from .scripts import enter, unknown_generations
from .scripts.index_entries import BEGINNING
from .situation import look

PAGE: Final = 1000
"""Keys that a step of SCAN looks at, about: half a millisecond of the server's time."""

PAUSE: Final = 0.005
"""Seconds between two steps, in which the server is others' alone: at most 200,000 keys a second."""

SAMPLED_KEYS: Final = 64
"""Keys of a generation whose memory is asked for; they are alike."""

_NUMBER: Final = "(?:0|[1-9][0-9]{0,17})"
_DATA: Final = rf"s0|b{_NUMBER}|t{_NUMBER}\.{_NUMBER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A generation that nobody knows: its keys, and their memory in bytes, by a sample; None if MEMORY is forbidden."""

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


async def orphans(pool: Pool, prefix: str, *, remove: bool = False) -> list[Orphan]:
    """The generations under a prefix that nobody knows, sorted; with `remove` their keys are deleted as they are found.

    Each page of keys is checked right before it is removed. Names that have records and are
    missing in the index are entered in it then, so that `clean` finds them again. Raises
    Refused if the server forbids SCAN, and ServerUnavailable.
    """
    owner_of = key_parser(prefix, _DATA)
    found: dict[tuple[str, str], _Count] = {}
    named: set[str] = set()
    memory, cursor = True, b"0"
    while True:
        cursor, page = await pool.call(
            "SCAN", cursor, "MATCH", f"{prefix}:*", "COUNT", PAGE, "TYPE", "hash",
            expect=is_scanned, doing="looking for keys that nobody knows",
        )  # fmt: skip
        here: dict[str, dict[str, list[bytes]]] = {}
        for key in page:
            owner = owner_of(key)
            if owner and owner.generation:
                here.setdefault(owner.name, {}).setdefault(owner.generation, []).append(key)
            elif owner:
                named.add(owner.name)
        for name, generations in here.items():
            for generation in await _unknown(pool, Keys(prefix=prefix, name=name), list(generations)):
                some = generations[generation]
                count = found.setdefault((name, generation), _Count())
                memory = memory and await _sample(pool, some, count)
                # Those that are gone by now were of a generation in the trash when they were seen.
                count.keys += await pool.call("UNLINK" if remove else "EXISTS", *some, expect=is_number)
        if cursor == b"0":
            break
        await anyio.sleep(PAUSE)
    if remove:
        for name in named.difference(await known_names(pool, prefix)):
            await enter(pool, Keys(prefix=prefix, name=name), BEGINNING)
            await leave(pool, Keys(prefix=prefix, name=name))
    return [
        Orphan(name=name, generation=generation, keys=count.keys, bytes=_bytes(count) if memory else None)
        for (name, generation), count in sorted(found.items(), key=lambda item: item[0])
        if count.keys
    ]


async def _unknown(pool: Pool, keys: Keys, generations: list[str]) -> list[str]:
    """Those of the generations that no record of the name knows; none if one cannot be read."""
    try:
        await look(pool, keys)
        return await unknown_generations(pool, keys, generations)
    except (DamagedData, WrongType):
        return []


async def _sample(pool: Pool, some: list[bytes], count: _Count) -> bool:
    """Add to the memory of a generation. False if the server forbids to ask."""
    for key in some[: SAMPLED_KEYS - count.sampled]:
        try:
            used = await pool.call("MEMORY", "USAGE", key, "SAMPLES", 100, expect=is_number_or_none)
        except Refused:
            return False
        count.sampled += 1
        count.bytes += used or 0
    return True


def _bytes(count: _Count) -> int:
    return count.bytes * count.keys // max(1, count.sampled)
