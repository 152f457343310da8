"""Scripts that take a generation or a record away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...client.pool import Pool
from ...client.reply import is_number
from ..keys import Keys
from ..trash import TrashEntry
from .evaluate import EVEN_IF_FULL, evaluate

REMOVE: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: meta, trash. ARGV: seen generation, its trash entry. What is published becomes trash.
if (redis.call('HGET', KEYS[1], 'generation') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
"""
)


async def remove(pool: Pool, keys: Keys, entry: TrashEntry) -> bool:
    """Turn what is published into trash. False if it is another generation than that of the entry."""
    removed = await evaluate(
        pool.call,
        REMOVE,
        [keys.meta, keys.trash],
        [entry.generation, entry.text],
        expect=is_number,
        doing=f"removing {keys.name} ({keys.meta}, {keys.trash})",
    )
    return bool(removed)


TRASH: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: meta, load, trash. ARGV: generation, its trash entry. What nothing refers to becomes trash.
for i = 1, 2 do
  if redis.call('HGET', KEYS[i], 'generation') == ARGV[1] then return 0 end
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
return 1
"""
)


async def trash(pool: Pool, keys: Keys, entry: TrashEntry) -> bool:
    """Put a generation into the trash. False, and nothing is done, if it is published or a load under way has it."""
    done = await evaluate(
        pool.call,
        TRASH,
        [keys.meta, keys.load, keys.trash],
        [entry.generation, entry.text],
        expect=is_number,
        doing=f"removing what was loaded of {keys.name} ({keys.trash})",
    )
    return bool(done)


FORGET: Final = """
-- KEYS: a record. ARGV: what it holds, names and values in turn as HGETALL has them. It is removed if it still does.
local held = redis.call('HGETALL', KEYS[1])
if #held ~= #ARGV then return 0 end
for i = 1, #ARGV do
  if held[i] ~= ARGV[i] then return 0 end
end
return redis.call('DEL', KEYS[1])
"""


async def forget(pool: Pool, key: str, pairs: Sequence[bytes]) -> bool:
    """Delete the record under a key. False if it holds anything but these names and values, in turn."""
    return bool(await evaluate(pool.call, FORGET, [key], pairs, expect=is_number))
