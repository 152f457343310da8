"""Scripts of the index of names; `index` states the rules that they serve."""

from __future__ import annotations

import secrets
from typing import Final

from ...client.pool import Pool
from ...client.reply import is_number
from ..keys import Keys
from .evaluate import EVEN_IF_FULL, evaluate

BEGINNING: Final = ""
"""What the index says of a name that is about to get something."""

ANNOUNCE: Final = """
-- KEYS: names. ARGV: name, what the index says of it. By a script, because what follows takes scripts: where they are
-- forbidden, nothing is written at all. Refused on a full server.
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""


async def announce(pool: Pool, keys: Keys) -> None:
    """Enter a name that is about to get something.

    Raises OutOfMemory if the server is full, and Refused, with nothing written, if scripts are forbidden.
    """
    await _set(pool, ANNOUNCE, keys, BEGINNING)


ENTER: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: names. ARGV: name, what the index says of it. Also on a full server: what is there must be found.
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""
)


async def enter(pool: Pool, keys: Keys, generation: str | bytes) -> None:
    """Enter a name that has this generation now, even if the server is full."""
    await _set(pool, ENTER, keys, generation)


async def _set(pool: Pool, script: str, keys: Keys, text: str | bytes) -> None:
    await evaluate(
        pool.call, script, [keys.names], [keys.name, text], expect=is_number, doing=f"writing {keys.names}"
    )


WITHDRAW: Final = """
-- KEYS: names. ARGV: name, what the index said of it when the name was found to have nothing.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
"""


async def withdraw(pool: Pool, keys: Keys, text: bytes) -> bool:
    """Take a name out of the index. False if the index says something else of it than `text`."""
    return bool(await evaluate(pool.call, WITHDRAW, [keys.names], [keys.name, text], expect=is_number))


TOUCH: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: any hash. ARGV: a text. Two changes that together leave nothing.
redis.call('HSET', KEYS[1], '', ARGV[1])
return redis.call('HDEL', KEYS[1], '')
"""
)


def touching(key: str) -> list[str | int]:
    """The command that changes a hash and changes it back, for a pipeline; its reply is 1."""
    return ["EVAL", TOUCH, 1, key, secrets.token_hex(8)]
