"""Removal of what is expendable, and of nothing else.

Expendable are: scratch data, generations in the trash, and loads that were abandoned for
longer than a given time. A journal is deleted before its data, and an abandoned load is
taken from its owner by a script before anything of it is touched. Nothing blocks the
server: large hashes are unlinked, scratch fields go by HSCAN and HDEL in batches.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from .errors import DamagedData, UsageError
from .layout import Form
from .load import EVEN_IF_FULL, look, trash_entry
from .manifest import Keys, Manifest, is_name, text_fields
from .scripts import DISCARD
from .server.connection import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What was removed: fields of scratch hashes, generations of the trash, abandoned loads."""

    scratch_fields: int = 0
    generations: int = 0
    abandoned_loads: int = 0

    def __add__(self, other: Cleaned) -> Cleaned:
        return Cleaned(
            scratch_fields=self.scratch_fields + other.scratch_fields,
            generations=self.generations + other.generations,
            abandoned_loads=self.abandoned_loads + other.abandoned_loads,
        )

    def __bool__(self) -> bool:
        return self != Cleaned()

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    def describe(self) -> str:
        counts = {
            "scratch fields": self.scratch_fields,
            "superseded generations": self.generations,
            "abandoned loads": self.abandoned_loads,
        }
        return ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing"


async def known_names(pool: Pool, prefix: str) -> list[str]:
    """The names that the index holds, sorted; some may have nothing published."""
    key = f"{prefix}:names"
    found = (
        name.decode("utf-8", "replace") for name in await pool.call("HKEYS", key, doing=f"reading {key}")
    )
    return sorted(name for name in found if is_name(name))


async def clean(
    pool: Pool, prefix: str, *, batch: int, keep_interrupted: float, names: Sequence[str] | None = None
) -> Cleaned:
    """Remove all that is expendable: scratch first, then trash, then abandoned loads.

    `batch`: fields a step. `keep_interrupted` (s): how long an interrupted load is kept.
    `names`: of these only; of all if None.
    """
    known = names if names is not None else await known_names(pool, prefix)
    every = [Keys(prefix=prefix, name=name) for name in known]
    total = Cleaned()
    for keys in every:
        total += Cleaned(scratch_fields=await clean_scratch(pool, keys, batch=batch))
    for keys in every:
        abandoned = await _give_up_abandoned(pool, keys, keep_interrupted)
        swept = await sweep(pool, keys, batch=batch)
        # Another cleaner may have swept the abandoned load away.
        total += Cleaned(generations=max(0, swept - abandoned), abandoned_loads=abandoned)
    return total


async def clean_scratch(pool: Pool, keys: Keys, *, batch: int) -> int:
    """Delete the scratch fields of a name by HSCAN and HDEL; the number of fields removed."""
    removed, cursor = 0, b"0"
    while True:
        cursor, pairs = await pool.call(
            "HSCAN", keys.scratch, cursor, "COUNT", batch, doing=f"cleaning {keys.scratch}"
        )
        fields = pairs[::2]  # all of a small hash at once, whatever COUNT says
        for start in range(0, len(fields), batch):
            removed += await pool.call("HDEL", keys.scratch, *fields[start : start + batch])
        if cursor == b"0":
            return removed


async def sweep(pool: Pool, keys: Keys, *, batch: int) -> int:
    """Delete the generations in a name's trash, journal before data; the number of generations.

    A name of which nothing is left, published or under way, leaves the index.
    """
    trash = text_fields(await pool.call("HGETALL", keys.trash, doing=f"reading {keys.trash}"))
    swept = 0
    for generation, entry in trash.items():
        try:
            layout = Form.from_json(json.loads(entry)).open(keys.base(generation))
        except (KeyError, TypeError, ValueError, OverflowError, UsageError):
            continue  # not an entry of ours, so not ours to act on
        await pool.call("UNLINK", keys.journal(generation))
        data = layout.keys()
        while some := list(islice(data, batch)):
            await pool.call("UNLINK", *some)
        await pool.call("HDEL", keys.trash, generation)
        swept += 1
    if swept and not await pool.call("EXISTS", keys.meta, keys.load):
        await pool.call("HDEL", keys.names, keys.name)
    return swept


async def remove_generation(pool: Pool, keys: Keys, manifest: Manifest) -> None:
    """Delete a generation that nothing refers to any more: neither what is published nor what is under way."""
    seen = await look(pool, keys)
    under_way = seen.under_way.manifest if seen.under_way else None
    if manifest.generation in {kept.generation for kept in (seen.published, under_way) if kept}:
        return
    # The index first: what is in the trash must be found by it.
    await pool.call("HSET", keys.names, keys.name, manifest.generation)
    await pool.call("HSET", keys.trash, manifest.generation, trash_entry(manifest, seen.now))
    await sweep(pool, keys, batch=1000)


async def _give_up_abandoned(pool: Pool, keys: Keys, keep_interrupted: float) -> int:
    """Turn the load of a name into trash if nobody has held it for `keep_interrupted` seconds."""
    try:
        seen = await look(pool, keys)
    except DamagedData:
        return 0  # not a load of ours, so not ours to remove
    load = seen.under_way
    if load is None or load.owner.holds(seen.now):
        return 0
    # The deadline of a process that died is still to come: it was interrupted just now, as far as can be told.
    if max(0, seen.now - load.owner.deadline) < keep_interrupted * 1000:
        return 0
    return int(
        await pool.call(
            "EVAL", EVEN_IF_FULL + DISCARD, 2, keys.load, keys.trash,
            load.owner.token, load.owner.deadline, load.manifest.generation, trash_entry(load.manifest, seen.now),
        )
    )  # fmt: skip
