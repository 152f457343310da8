"""Whether a server takes values as large as those that are to be written.

A request with a value above the server's proto-max-bulk-len, or one that does not fit its
client-query-buffer-limit, ends the connection, often before the server's reason for it has
arrived: in mid-write it looks like an outage. So it is found out before anything is written.
Both limits are at least 1 MiB (`config.c` of Redis 7.0 and Valkey 9.1).
"""

from __future__ import annotations

from typing import Final

from redis.exceptions import ResponseError

from ..client.failure import ConnectionLost
from ..client.pool import Pool
from ..client.retry import until_available
from ..errors import Refused
from ..events import ServerFacts
from ..layout import Form
from ..server.facts import whole

SURE: Final = 1 << 20
"""Bytes of a value, and of the rest of its request, that every server takes."""

BESIDES: Final = 65_536
"""More bytes than the server's buffer of a request holds besides one value."""

_LIMITS: Final = ("proto-max-bulk-len", "client-query-buffer-limit")


async def check_value_limit(pool: Pool, form: Form, facts: ServerFacts) -> None:
    """Raises Refused if the server does not take a field of this form; it names the limit where the server tells it."""
    size = form.scheme.field_bytes
    if size + BESIDES <= SURE:
        return
    advice = f"a field of layout {form.layout} has {size:,} bytes: use smaller tiles, or raise the limit"
    if facts.settings is not None:
        for setting in _LIMITS:
            limit = whole(facts.settings.get(setting, ""))
            if limit is not None and limit < size + (BESIDES if setting == _LIMITS[1] else 0):
                raise Refused(
                    f"{pool.address.shown} takes no such value: its {setting} is {limit:,} bytes, and {advice}"
                )
        return
    if not await _takes(pool, size):
        raise Refused(
            f"{pool.address.shown} takes no such value: its {' or '.join(_LIMITS)} forbids it; {advice}"
        )


async def _takes(pool: Pool, size: int) -> bool:
    """Whether the server reads a request with an argument of so many bytes. It is tried with one that does nothing."""
    losses = 0

    async def attempt() -> bool:
        nonlocal losses
        async with pool.connection() as connection:
            await connection.pipeline(
                [["PING"]]
            )  # so that a loss is not that of a connection that had died before
            try:
                (reply,) = await connection.pipeline([["HLEN", bytes(size)]])
            except ConnectionLost:
                losses += 1
                if losses < 2:
                    raise
                return False
        return not (isinstance(reply, ResponseError) and "Protocol error" in str(reply))

    return await until_available(attempt, pool.retry)
