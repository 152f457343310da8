"""The index of names: what there may be on the server, for those that list or clean it.

The index lies in another slot of a cluster than the keys of a name, so no script changes
both. What a name has must be found by it all the same, also beside a cleaner that takes a
name out of which nothing is left. Two rules see to that:

- Whoever makes something of a name enters it before, and enters it again after, with
  another text: a cleaner that looked in between finds the text changed, and leaves it.
- A cleaner reads the text first, looks then whether the name has anything, removes the
  entry only if it still holds that text, and looks again: what has come meanwhile is put back.

So an entry can only be missing if both processes died within those few milliseconds.
"""

from __future__ import annotations

from ..client.guard import LISTING
from ..client.pool import Pool
from ..client.reply import is_number, is_text_or_none, is_texts
from .keys import Keys, is_name, names_key
from .scripts import enter, withdraw


async def known_names(pool: Pool, prefix: str) -> list[str]:
    """The names that the index holds, sorted; some may have nothing published."""
    key = names_key(prefix)
    found = (
        name.decode("utf-8", "replace")
        for name in await pool.call("HKEYS", key, expect=is_texts, doing=f"reading {key}", limit=LISTING)
    )
    return sorted(name for name in found if is_name(name))


async def leave(pool: Pool, keys: Keys) -> None:
    """Take a name out if there is nothing of it: published, under way, in the trash or in scratch."""
    said = await pool.call(
        "HGET", keys.names, keys.name, expect=is_text_or_none, doing=f"reading {keys.names}"
    )
    if said is None or await _has_something(pool, keys):
        return
    if await withdraw(pool, keys, said) and await _has_something(pool, keys):
        await enter(pool, keys, said)


async def _has_something(pool: Pool, keys: Keys) -> bool:
    return bool(await pool.call("EXISTS", keys.meta, keys.load, keys.trash, keys.scratch, expect=is_number))
