"""Scripts of the life of a load: it is begun, and published or discarded."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, TypeGuard

from ...client.connection import Connection
from ...client.pool import Pool
from ...client.reply import is_number
from ..keys import Keys
from ..trash import TrashEntry
from .evaluate import EVEN_IF_FULL, NOW, evaluate, flattened

BEGIN: Final = (
    EVEN_IF_FULL
    + NOW
    + """
-- KEYS: meta, load, trash.
-- ARGV: seen generation, seen token, ttl, discarded generation, its trash entry, fields…
if (redis.call('HGET', KEYS[1], 'generation') or '') ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[2], 'owner_token') or '') ~= ARGV[2] then return 0 end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
  redis.call('DEL', KEYS[2])
end
redis.call('HSET', KEYS[2], 'owner_deadline', now() + ARGV[3], unpack(ARGV, 6))
return 1
"""
)


async def begin(
    pool: Pool,
    keys: Keys,
    *,
    seen_generation: str,
    seen_token: str,
    ttl: int,
    discards: TrashEntry | None,
    fields: Mapping[str, str],
) -> bool:
    """Make the record of a load from its fields, held for `ttl` ms. False if the name has changed since it was seen.

    `seen_generation` is published, and `seen_token` owns the load under way; "" stands for none.
    The load under way is resumed, unless it is what `discards` names: then it becomes trash.
    """
    begun = await evaluate(
        pool.call,
        BEGIN,
        [keys.meta, keys.load, keys.trash],
        [seen_generation, seen_token, ttl, *_entry(discards), *flattened(fields)],
        expect=is_number,
        doing=f"beginning the load of {keys.name} ({keys.load}, {keys.trash})",
    )
    return bool(begun)


class Outcome(Enum):
    """What came of the attempt to publish a load, as the script replies it."""

    DONE = b"done"
    GONE = b"gone"
    """There is no load. If its generation is published, an earlier request whose reply was lost has done that."""
    TAKEN = b"taken"
    """The load is another's."""
    LATE = b"late"
    """The load is still ours, but its deadline is over."""
    HOLES = b"holes"
    """The journal lacks chunks. That is found out before the script is sent."""
    CHANGED = b"changed"
    """Something else is published than the load was to replace."""


PUBLISH: Final = (
    EVEN_IF_FULL
    + NOW
    + """
-- KEYS: meta, load, trash. ARGV: token, generation, replaced generation, its trash entry, fields…
local load = redis.call('HMGET', KEYS[2], 'owner_token', 'generation', 'owner_deadline')
if not load[1] then return 'gone' end
if load[1] ~= ARGV[1] or load[2] ~= ARGV[2] then return 'taken' end
if tonumber(load[3]) <= now() then return 'late' end
if (redis.call('HGET', KEYS[1], 'generation') or '') ~= ARGV[3] then return 'changed' end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[3], ARGV[3], ARGV[4]) end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
return 'done'
"""
)


async def publish(
    connection: Connection,
    keys: Keys,
    *,
    token: str,
    generation: str,
    replaces: TrashEntry | None,
    fields: Mapping[str, str],
) -> Outcome:
    """Make the load that `token` owns what readers see, with these fields; what it replaces becomes trash.

    The caller has read over the same connection that the journal is whole. The script is sent once.
    """
    reply = await evaluate(
        connection.call,
        PUBLISH,
        [keys.meta, keys.load, keys.trash],
        [token, generation, *_entry(replaces), *flattened(fields)],
        expect=_is_outcome,
        doing=f"publishing {keys.name} ({keys.meta}, {keys.trash})",
    )
    return Outcome(reply)


REWRITE: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: a hash. ARGV: a field. It is written once more as it is, which replicas are told. Replies 0 if it is not there.
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], value)
return 1
"""
)


def rewriting(key: str, field: str | int) -> list[str | int]:
    """The command that writes a field once more as it is, for a pipeline; its reply is 1, and 0 if there is none."""
    return ["EVAL", REWRITE, 1, key, field]


DISCARD: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: load, trash. ARGV: seen token, seen deadline ('' if it does not matter), generation, its trash entry.
-- The load becomes trash.
local load = redis.call('HMGET', KEYS[1], 'owner_token', 'owner_deadline')
if load[1] ~= ARGV[1] or (ARGV[2] ~= '' and load[2] ~= ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('DEL', KEYS[1])
return 1
"""
)


async def discard(
    pool: Pool, keys: Keys, entry: TrashEntry, *, token: str, deadline: int | None = None
) -> bool:
    """Turn a load into trash. False if it is not the one that `token` owns until `deadline` (ms; None: any)."""
    discarded = await evaluate(
        pool.call,
        DISCARD,
        [keys.load, keys.trash],
        [token, "" if deadline is None else deadline, *_entry(entry)],
        expect=is_number,
    )
    return bool(discarded)


def _entry(entry: TrashEntry | None) -> tuple[str, str]:
    """The two arguments that say what becomes trash; both are empty if nothing does."""
    return ("", "") if entry is None else (entry.generation, entry.text)


def _is_outcome(reply: Any) -> TypeGuard[bytes]:
    return reply in [outcome.value for outcome in Outcome]
