"""The connections of a store: to its one server, or to the nodes of a cluster, by the slots of keys.

A node is found by a key. So every operation on keys names one, and what is asked of a server as
such is asked of each node.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import anyio

from .address import Address
from .connection import Buffer, ClientId, Connection
from .counts import ConnectionCounts
from .guard import REPLY_BYTES
from .node import Node
from .places import Places
from .reply import is_anything
from .retry import Retry, until_available

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    R = TypeVarWithDefault("R", default=Any)

Command = Sequence[str | bytes | int | float]

_KEY_AT: Final = {"EVAL": 3, "EVAL_RO": 3, "OBJECT": 2, "MEMORY": 2}
"""Which word of a command is its first key, where it is not the one after the name."""


def key_of(command: Command) -> str | bytes:
    """The first key of a command of ours."""
    key = command[_KEY_AT.get(str(command[0]), 1)]
    return key if isinstance(key, bytes) else str(key)


class Pool:
    """Connections to one server or to several, of which each key has one.

    Arguments and times are as for `Node`; at most `size` connections are open to all nodes together.

    `reply_bytes` is the most that should be asked for at a time. It becomes finite once a server
    has shown that it limits what it owes to a client (`server.output_limit`). `dumps` is false once
    a server has refused DUMP, and `dumps_listpacks` once one gave a listpack otherwise than it lies
    in its memory: most servers compress them.
    """

    def __init__(
        self,
        address: Address,
        *,
        size: int = 50,
        connect_timeout: float = 5.0,
        answer_timeout: float = 5.0,
        keep_idle: float = 30.0,
        deadline: float = 60.0,
    ) -> None:
        self.address = address
        self.counts = ConnectionCounts()
        self.retry = Retry(deadline=deadline)
        self.reply_bytes = math.inf
        self.dumps = True
        self.dumps_listpacks = True
        self._unfenced = False
        self._places = Places(size)
        self._times = (connect_timeout, answer_timeout, keep_idle, deadline)
        self._only = self._new_node(address)
        self._beside = anyio.Lock(fast_acquire=True)

    @property
    def is_cluster(self) -> bool:
        """Whether it is a cluster, whose slots can move, and in which one command takes keys of one slot alone."""
        return False

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The servers that have keys: one, or the primaries of a cluster as far as is known now."""
        return (self._only,)

    def node_of(self, key: str | bytes) -> Node:
        """The server that has a key, as far as is known now."""
        return self._only

    def connection(self, key: str | bytes) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection to the server that has a key, as `Node.connection` does."""
        return self.node_of(key).connection()

    def writing(self, key: str | bytes) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection for requests that must not be applied late, as `Node.writing` does."""
        return self.node_of(key).writing()

    @asynccontextmanager
    async def beside(self, key: str | bytes, held: Connection) -> AsyncIterator[Connection]:
        """Lend a connection to the server that has a key to a task that holds one: that one, if it goes there.

        Another one takes no place, so nobody waits for a place while he holds one. There is one such loan at a time.
        """
        node = self.node_of(key)
        if held in node:
            yield held
            return
        async with self._beside, node.connection(counted=False) as connection:
            yield connection

    async def call(
        self,
        *command: str | bytes | int | float,
        expect: Callable[[Any], TypeGuard[R]] = is_anything,
        doing: str = "",
        limit: int = REPLY_BYTES,
    ) -> R:
        """The reply to one command, which is tried again while the server of its key is unavailable.

        For commands that give the same result when they are applied twice. Raises as
        `Connection.call` does, and ServerUnavailable only once the deadline is over.
        """
        return await until_available(
            lambda: self.call_once(*command, expect=expect, doing=doing, limit=limit), self.retry
        )

    async def call_once(
        self,
        *command: str | bytes | int | float,
        expect: Callable[[Any], TypeGuard[R]] = is_anything,
        doing: str = "",
        limit: int = REPLY_BYTES,
    ) -> R:
        """The reply to one command, which is not tried again. Raises as `Connection.call` does."""
        async with self.connection(key_of(command)) as connection:
            return await connection.call(*command, expect=expect, doing=doing, limit=limit)

    async def commands(
        self, commands: Sequence[Command], *, expect: Callable[[Any], TypeGuard[R]], doing: str
    ) -> list[R]:
        """The replies to commands that are sent together, not tried again. Raises as `Connection.call` does."""
        async with self.nodes[0].connection() as connection:
            replies = await connection.pipeline(commands)
            return [connection.expected(reply, expect, doing=doing) for reply in replies]

    async def exchange(
        self,
        key: str | bytes,
        buffers: Sequence[Buffer],
        replies: int,
        *,
        expect: Callable[[int, Any], bool],
        doing: Callable[[int], str],
        limit: int = REPLY_BYTES,
        writing: bool = False,
    ) -> list[Any]:
        """The replies to encoded requests for the keys of one slot, not tried again.

        `expect(number, reply)` is asked of each reply, and `doing(number)` says what a request does.
        Raises as `Connection.call` does.
        """
        async with self.writing(key) if writing else self.connection(key) as connection:
            answers = await connection.exchange(buffers, replies, limit=limit)
            for number, reply in enumerate(answers):
                if not expect(number, reply):
                    raise connection.error_of(reply, doing=doing(number))
            return answers

    async def probe(self) -> None:
        """Return if there is a server that lets us in, by one try; raise if not."""
        await self._only.probe()

    async def fence_off(self, clients: Collection[ClientId] = ()) -> bool:
        """End these connections, and all that were given up here, so that nothing of them is applied any more.

        False if a server does not allow it. Raises ServerUnavailable once the deadline is over.
        """
        return all([await node.fence_off(clients) for node in self.nodes])

    def doubts(self, client: ClientId) -> bool:
        """Whether requests of this connection may still be applied, as far as this pool knows."""
        return any(node.fence.doubts(client) for node in self.nodes)

    @property
    def is_unfenced(self) -> bool:
        """Whether a connection could not be fenced because a right is missing."""
        return self._unfenced or any(node.fence.is_open for node in self.nodes)

    def note_unfenced(self) -> None:
        """Take note that nobody else can fence a connection of ours."""
        self._unfenced = True

    async def aclose(self) -> None:
        """Close the idle connections; those that are lent are closed when they are given back."""
        for node in self.nodes:
            await node.aclose()

    def _new_node(self, address: Address) -> Node:
        connect_timeout, answer_timeout, keep_idle, deadline = self._times
        return Node(
            address,
            places=self._places,
            counts=self.counts,
            connect_timeout=connect_timeout,
            answer_timeout=answer_timeout,
            keep_idle=keep_idle,
            deadline=deadline,
        )
