"""The script of an update: a chunk of what is published is marked before its values change."""

from __future__ import annotations

from typing import Final

from ...client.pool import Pool
from ...client.reply import is_number
from ..keys import Keys
from .evaluate import EVEN_IF_FULL, evaluate

MARK_STALE: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: meta, journal. ARGV: seen generation, chunk. The chunk is about to be changed on purpose.
if (redis.call('HGET', KEYS[1], 'generation') or '') ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], ARGV[2], 'stale') end
return 1
"""
)


async def mark_stale(pool: Pool, keys: Keys, generation: str, chunk: int) -> bool:
    """Say in the journal that a chunk was changed on purpose. False if the generation is not published any more."""
    journal = keys.journal(generation)
    marked = await evaluate(
        pool.call,
        MARK_STALE,
        [keys.meta, journal],
        [generation, chunk],
        expect=is_number,
        doing=f"writing {journal}",
    )
    return bool(marked)
