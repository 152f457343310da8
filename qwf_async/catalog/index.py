"""The index of names: which names may have something on the server, for commands that list or clean it.

In a cluster the index lies in another slot than the keys of a name, so no script can change
both. Still, a name that has something must be in it, also while a cleaner takes out a name that
has nothing left. Two rules ensure that:

- A process that makes something of a name enters the name before, and enters it again after,
  with another text. A cleaner that looked in between finds the text changed, and leaves it.
- A cleaner first reads the text, and then looks whether the name has anything. It removes the
  entry only if it still holds that text. Then it looks again, and puts back what has come meanwhile.

So an entry can only be missing if both processes died within those few milliseconds.
"""

from __future__ import annotations

from ..client.guard import LISTING_BYTES
from ..client.pool import Pool
from ..client.reply import is_number, is_pairs, is_text_or_none, is_texts
from .keys import Keys, is_name, names_key
from .scripts import enter, withdraw


async def known_names(pool: Pool, prefix: str) -> list[str]:
    """The names in the index, sorted; some may have nothing published."""
    key = names_key(prefix)
    names = (
        name.decode("utf-8", "replace")
        for name in await pool.call(
            "HKEYS", key, expect=is_texts, doing=f"reading {key}", limit=LISTING_BYTES
        )
    )
    return sorted(name for name in names if is_name(name))


async def index_entries(pool: Pool, prefix: str) -> dict[str, bytes]:
    """The names in the index, each with what the index says of it: another text once a load of it has begun."""
    key = names_key(prefix)
    pairs = await pool.call("HGETALL", key, expect=is_pairs, doing=f"reading {key}", limit=LISTING_BYTES)
    named = zip(pairs[::2], pairs[1::2], strict=True)
    entries = {name.decode("utf-8", "replace"): text for name, text in named}
    return {name: text for name, text in entries.items() if is_name(name)}


async def leave(pool: Pool, keys: Keys) -> None:
    """Take a name out of the index, unless it has something: published, under way, in the trash or in scratch."""
    text = await pool.call(
        "HGET", keys.names, keys.name, expect=is_text_or_none, doing=f"reading {keys.names}"
    )
    if text is None or await _has_something(pool, keys):
        return
    if await withdraw(pool, keys, text) and await _has_something(pool, keys):
        await enter(pool, keys, text)


async def _has_something(pool: Pool, keys: Keys) -> bool:
    return bool(await pool.call("EXISTS", keys.meta, keys.load, keys.trash, keys.scratch, expect=is_number))
