"""Scripts that only read: what there is of a name, as it was at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeGuard

from ...client.pool import Pool
from ...client.reply import is_number, is_pairs, is_texts
from ..keys import Keys
from .evaluate import NOW, evaluate

READ_RECORDS: Final = (
    NOW
    + """
-- KEYS: meta, load. What is published, what is under way, and what time it is.
return {redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), now()}
"""
)


async def read_records(pool: Pool, keys: Keys) -> tuple[list[bytes], list[bytes], int]:
    """What meta and load hold, names and values in turn, and the server's time (ms)."""
    return await evaluate(
        pool.call,
        READ_RECORDS,
        [keys.meta, keys.load],
        expect=_are_records,
        doing=f"reading {keys.meta} and {keys.load}",
        read_only=True,
    )


def _are_records(reply: Any) -> TypeGuard[tuple[list[bytes], list[bytes], int]]:
    return (
        isinstance(reply, list)
        and len(reply) == 3
        and is_pairs(reply[0])
        and is_pairs(reply[1])
        and is_number(reply[2])
    )


UNKNOWN_GENERATIONS: Final = """
-- KEYS: meta, load, trash. ARGV: generations. Those that none of the three knows.
local known = {}
for i = 1, 2 do
  local generation = redis.call('HGET', KEYS[i], 'generation')
  if generation then known[generation] = true end
end
local unknown = {}
for _, generation in ipairs(ARGV) do
  if not known[generation] and not redis.call('HGET', KEYS[3], generation) then
    unknown[#unknown + 1] = generation
  end
end
return unknown
"""


async def unknown_generations(pool: Pool, keys: Keys, generations: Sequence[str]) -> list[str]:
    """Those of the generations that neither meta nor load nor trash knows."""
    unknown = await evaluate(
        pool.call,
        UNKNOWN_GENERATIONS,
        [keys.meta, keys.load, keys.trash],
        generations,
        expect=is_texts,
        doing=f"reading {keys.trash}",
        read_only=True,
    )
    return [generation.decode() for generation in unknown]
