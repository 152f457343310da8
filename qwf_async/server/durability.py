"""A server's append-only file, brought to disk before its durability is claimed.

WAITAOF (Redis 7.2, Valkey) waits until the file is synced up to the last change that its own
connection made; on a connection that has changed nothing it answers at once. The file is one
sequence for all connections, so a change made now and synced means that every change before
it, over whichever connection, is synced too.

What is promised then: all that the server had applied was handed by its operating system to
the disk, and outlives the server's process and a failure of power, as far as the disk keeps
what it has confirmed. Nothing is said of replicas.
"""

from __future__ import annotations

import secrets
from typing import Final

from ..client.pool import Pool

SYNCING: Final = 10.0
"""Seconds that a sync may take: with appendfsync everysec it takes one or two, on a busy disk more."""

_TOUCH: Final = """#!lua flags=allow-oom
-- KEYS: a hash. ARGV: a text. Two changes that together leave nothing.
redis.call('HSET', KEYS[1], '', ARGV[1])
return redis.call('HDEL', KEYS[1], '')
"""


async def sync_log(pool: Pool, key: str, *, deadline: float = SYNCING) -> bool:
    """Whether all that the server holds is now synced to its append-only file. `deadline` in seconds, for the sync.

    `key` is a hash of ours, in which a field is made and removed. False also if the server
    forbids what is needed, or has no WAITAOF. Raises ServerUnavailable if it does not answer.
    """
    async with pool.connection() as connection:
        made, synced = await connection.pipeline(
            [
                ["EVAL", _TOUCH, 1, key, secrets.token_hex(8)],
                ["WAITAOF", 1, 0, int(deadline * 1000)],
            ],
            stall_timeout=2 * deadline,
        )
    return made == 1 and isinstance(synced, list) and synced[:1] == [1]
