"""Scripts of who owns a load, and over which connections it is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...client.connection import Connection
from ...client.pool import Pool
from ...client.reply import is_pairs, is_text
from ..keys import Keys
from .evaluate import EVEN_IF_FULL, NOW, evaluate

RENEW: Final = (
    EVEN_IF_FULL
    + NOW
    + """
-- KEYS: load. ARGV: token, ttl (0 gives the load up), writers that are through…
-- Replies whose it is, '' if there is no load.
local owner = redis.call('HGET', KEYS[1], 'owner_token')
if owner == ARGV[1] then
  redis.call('HSET', KEYS[1], 'owner_deadline', now() + ARGV[2])
  if #ARGV > 2 then redis.call('HDEL', KEYS[1], unpack(ARGV, 3)) end
end
return owner or ''
"""
)


async def renew(pool: Pool, keys: Keys, *, token: str, ttl: int, settled: Iterable[str] = ()) -> str:
    """The token of the load's owner, "" if there is no load. If it is `token`, the load is held for `ttl` ms more.

    A ttl of 0 gives the load up. The connections whose fields are `settled` leave the record.
    The script is sent once.
    """
    owner = await evaluate(pool.call_once, RENEW, [keys.load], [token, ttl, *settled], expect=is_text)
    return owner.decode(errors="replace")


REGISTER: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: load. ARGV: token, a writer ('': none), its server's run id, writers that are through…
-- Replies whose it is, '' if there is no load.
local owner = redis.call('HGET', KEYS[1], 'owner_token')
if owner == ARGV[1] then
  if #ARGV > 3 then redis.call('HDEL', KEYS[1], unpack(ARGV, 4)) end
  if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], ARGV[2], ARGV[3]) end
end
return owner or ''
"""
)


async def register(
    server: Pool | Connection,
    keys: Keys,
    *,
    token: str,
    field: str = "",
    run: str = "",
    settled: Iterable[str] = (),
) -> str:
    """The token of the load's owner, "" if there is no load. If it is `token`, a connection enters the load's record.

    `field` names the connection, and `run` is the run id of its server; without them none is
    added. The connections whose fields are `settled` leave the record.
    """
    owner = await evaluate(
        server.call,
        REGISTER,
        [keys.load],
        [token, field, run, *settled],
        expect=is_text,
        doing=f"writing {keys.load}",
    )
    return owner.decode(errors="replace")


EXPEL: Final = (
    EVEN_IF_FULL
    + """
-- KEYS: load. ARGV: seen token, a token that is nobody's. Its owner, dead or late, can enter no writer any more.
-- Replies with the record then; with nothing if the token is another.
if redis.call('HGET', KEYS[1], 'owner_token') ~= ARGV[1] then return {} end
redis.call('HSET', KEYS[1], 'owner_token', ARGV[2])
return redis.call('HGETALL', KEYS[1])
"""
)


async def expel(pool: Pool, keys: Keys, *, token: str, replacement: str) -> list[bytes]:
    """Replace the token of a load, so that its owner can register no connection any more.

    Returns the record, names and values in turn; nothing if the token was another.
    """
    return await evaluate(
        pool.call,
        EXPEL,
        [keys.load],
        [token, replacement],
        expect=is_pairs,
        doing=f"taking over {keys.load}",
    )
