"""The check that the server takes values as large as those that are to be written.

A server ends the connection when a value is larger than its proto-max-bulk-len, or when a
request does not fit its client-query-buffer-limit. The reason often does not arrive, so in
mid-write this looks like an outage. So the check comes before anything is written. Both
limits are at least 1 MiB (`config.c` of Redis 7.0 and Valkey 9.1).
"""

from __future__ import annotations

from typing import Final

from redis.exceptions import ResponseError

from ..client.failure import ConnectionLost
from ..client.node import Node
from ..client.retry import until_available
from ..errors import Refused
from ..events import ServerFacts
from ..layout import Form
from ..server.info import whole_number

MIN_LIMIT: Final = 1 << 20
"""Bytes of a request that every server takes: neither limit can be lower."""

MAX_OVERHEAD: Final = 65_536
"""Bytes that the server's buffer of a request holds besides one value, at most."""

LIMITS: Final = ("proto-max-bulk-len", "client-query-buffer-limit")


async def check_value_limit(node: Node, form: Form, facts: ServerFacts) -> None:
    """Raise Refused if the server takes no field of this form. The error names the limit if the server tells it."""
    size = form.scheme.field_bytes
    if size + MAX_OVERHEAD <= MIN_LIMIT:
        return
    advice = f"a field of layout {form.layout} has {size:,} bytes: use smaller tiles, or raise the limit"
    if facts.settings is not None:
        for setting in LIMITS:
            limit = whole_number(facts.settings.get(setting, ""))
            if limit is not None and limit < size + (MAX_OVERHEAD if setting == LIMITS[1] else 0):
                raise Refused(
                    f"{node.address.shown} takes no such value: its {setting} is {limit:,} bytes, and {advice}"
                )
        return
    if not await accepts(node, size):
        raise Refused(
            f"{node.address.shown} takes no such value: its {' or '.join(LIMITS)} forbids it; {advice}"
        )


async def accepts(node: Node, size: int) -> bool:
    """Whether the server reads an argument of `size` bytes. If some do not, it is tried with one that does nothing."""
    if size + MAX_OVERHEAD <= MIN_LIMIT:
        return True
    losses = 0

    async def attempt() -> bool:
        nonlocal losses
        async with node.connection() as connection:
            # A connection that had died before is found out here, and is no sign of a limit.
            await connection.pipeline([["PING"]])
            try:
                (reply,) = await connection.pipeline([["HLEN", bytes(size)]])
            except ConnectionLost:
                losses += 1
                if losses < 2:
                    raise
                return False
        return not (isinstance(reply, ResponseError) and "Protocol error" in str(reply))

    return await until_available(attempt, node.retry)
