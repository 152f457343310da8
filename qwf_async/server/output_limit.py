"""Fetches replies from servers that close a connection to which they owe too much.

Replies that a client has not read yet lie in the server's memory. Past the limit that the
server's owner has set (client-output-buffer-limit), it closes the connection without a word.
That is no outage, and another attempt fails, too: less must be asked for at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from ..client.failure import ConnectionLost
from ..client.node import Node
from ..client.pool import Pool
from ..client.reply import is_pairs, is_text
from ..client.retry import until_available
from ..errors import Refused
from .info import parse_info, whole_number

T = TypeVar("T")

UNCOUNTED: Final = 16_384
"""Bytes of replies that do not count: they lie in a buffer that every client has (PROTO_REPLY_CHUNK_BYTES)."""


class CutOff(Refused):
    """The server closes a connection to which it owes so much."""


async def fetch_at_once(
    pool: Pool, to: bytes | Node, size: int, fetch: Callable[[], Awaitable[T]], *, doing: str
) -> T:
    """The result of `fetch`, which reads replies of about `size` bytes from a node or that which has a key.

    It is tried again while that is unavailable; a given node is asked once.

    Raises CutOff if the connection was lost because of the server's limit on replies: at once if
    the server tells its limit, else after the second loss.
    """
    losses = 0

    async def attempt() -> T:
        nonlocal losses
        try:
            return await fetch()
        except ConnectionLost as error:
            losses += 1
            limit = await output_limit(_node(pool, to)) if size > UNCOUNTED else None
            if limit is None or limit > 2 * size or (limit == 0 and losses == 1):
                raise
            where = _node(pool, to).address.shown
            shown = f"{limit:,}" if limit else "so many"
            raise CutOff(
                f"{where} while {doing}: the server ends a connection to which it owes more than "
                f"{shown} bytes (client-output-buffer-limit normal), and {size:,} are to be read in one piece: "
                "raise that limit, or store the data in smaller tiles"
            ) from error

    return await (attempt() if isinstance(to, Node) else until_available(attempt, pool.retry))


def _node(pool: Pool, to: bytes | Node) -> Node:
    return to if isinstance(to, Node) else pool.node_of(to)


async def output_limit(node: Node) -> int | None:
    """The bytes that the server may owe to a client; None without a limit, 0 if it is not known.

    A server that forbids CONFIG may count in INFO the connections that its limit ended (Redis
    7.2, Valkey 7.2).
    """
    try:
        reply = await node.call_once("CONFIG", "GET", "client-output-buffer-limit", expect=is_pairs)
    except Refused:
        pass
    else:
        words = b" ".join(reply[1:2]).decode(errors="replace").split()
        classes = dict(zip(words[::4], zip(words[1::4], words[2::4], strict=False), strict=False))
        return min(
            (number for word in classes.get("normal", ()) if (number := whole_number(word))), default=None
        )
    try:
        info = parse_info(await node.call_once("INFO", "stats", expect=is_text))
    except Refused:
        return 0
    return None if whole_number(info.get("client_output_buffer_limit_disconnections", "")) == 0 else 0
