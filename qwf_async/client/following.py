"""Requests that are sent together, and follow the keys whose slots have another node by now.

A node may reply to one request and redirect another: then only that one is sent again, to the node
that it names. So requests for many keys end well while slots move without a pause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from ..wire.resp import bulk
from .commands import Command, after_asking, key_of, split_requests
from .connection import Buffer
from .failure import Asked, Redirected, SlotParted
from .guard import REPLY_BYTES
from .node import Node
from .pool import Pool
from .slots import slot_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    R = TypeVarWithDefault("R", default=Any)

MAX_HOPS: Final = 3
"""Nodes that a request is sent on to, one after the other, before it counts as failed."""


@dataclass(slots=True)
class Away:
    """Of some requests, those that nodes have redirected: whereto, and the last error."""

    pool: Pool
    to: dict[tuple[Node, bool], list[int]] = field(default_factory=dict)
    error: Redirected | None = None

    async def add(self, said: Node, redirected: dict[int, Redirected]) -> None:
        """Note what a node has said; that a slot has moved is learned. True beside a node: it is to be asked there."""
        for number, error in redirected.items():
            self.error = error
            road = await self.pool.named_by(error, said), isinstance(error, Asked)
            self.to.setdefault(road, []).append(number)


async def exchange(
    pool: Pool,
    to: str | bytes | Node,
    buffers: Sequence[Buffer],
    replies: int,
    *,
    expect: Callable[[int, Any], bool],
    doing: Callable[[int], str],
    limit: int = REPLY_BYTES,
    writing: bool = False,
) -> list[Any]:
    """The replies to encoded requests, which go to a node, or to that which has a key, and then where they are sent on.

    `expect(number, reply)` is asked of each reply, and `doing(number)` says what a request does.
    They are not tried again otherwise. Raises as `Connection.call` does.
    """
    lend = pool.writing if writing else pool.connection
    answers: list[Any] = [None] * replies

    async def send(
        node: Node, buffers: Sequence[Buffer], numbers: Sequence[int], away: Away, *, asking: bool = False
    ) -> None:
        redirected: dict[int, Redirected] = {}
        async with lend(node) as connection:
            each = 1 + asking
            got = await connection.exchange(buffers, len(numbers) * each, limit=limit * each)
            for number, reply in zip(numbers, got[asking::each], strict=True):
                if expect(number, reply):
                    answers[number] = reply
                    continue
                error = connection.error_of(reply, doing=doing(number))
                if isinstance(error, SlotParted) and not isinstance(to, Node):
                    raise error.at(slot_of(to))
                if not isinstance(error, Redirected):
                    raise error
                redirected[number] = error
        await away.add(node, redirected)

    away = Away(pool)
    await send(to if isinstance(to, Node) else pool.node_of(to), buffers, range(replies), away)
    requests = split_requests(buffers) if away.error else []
    for _ in range(MAX_HOPS):
        if away.error is None:
            break
        before, away = away, Away(pool)
        for (node, asking), numbers in before.to.items():
            sent = [requests[number] for number in numbers]
            await send(node, after_asking(sent) if asking else sent, numbers, away, asking=asking)
    if away.error is not None:
        raise away.error
    return answers


async def send_commands(
    pool: Pool, commands: Sequence[Command], *, expect: Callable[[Any], TypeGuard[R]], doing: str
) -> list[R]:
    """The replies to commands, each of which goes to the server of its key, and then where it is sent on.

    The keys of one command must have one slot. They are not tried again otherwise. Raises as `Connection.call` does.
    """
    by_node: dict[Node, list[int]] = {}
    for number, command in enumerate(commands):
        by_node.setdefault(pool.node_of(key_of(command)), []).append(number)
    replies: dict[int, R] = {}
    for node, numbers in by_node.items():
        got = await exchange(
            pool,
            node,
            [_encoded(commands[number]) for number in numbers],
            len(numbers),
            expect=lambda _, reply: expect(reply),
            doing=lambda _: doing,
        )
        replies.update(zip(numbers, got, strict=True))
    return [replies[number] for number in range(len(commands))]


def _encoded(command: Command) -> bytes:
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n%s" % (len(words), b"".join(map(bulk, words)))
