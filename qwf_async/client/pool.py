"""The connections of a store: to its one server, or to the nodes of a cluster, by the slots of keys.

A node is found by a key. So every operation on keys names one, and what is asked of a server as
such is asked of each node.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import anyio
import numpy as np

from ..errors import ServerUnavailable
from ..wording import option
from .address import Address
from .cluster import Cluster, check_table, cluster_table
from .commands import key_of
from .connection import ClientId, Connection
from .counts import ConnectionCounts, ReadCounts
from .failure import Asked, Moved, Redirected, ServerBusy
from .guard import REPLY_BYTES
from .node import Node, fence_soon
from .node_map import address_of
from .places import Places
from .reply import is_anything
from .retry import Retry, until_available
from .slots import NOBODY, SlotTable, slot_of, slots_of_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import TypeVar as TypeVarWithDefault

    R = TypeVarWithDefault("R", default=Any)

ONE_FOR_ALL: Final = SlotTable.even(1)
"""The table of a single server."""


class Pool:
    """Connections to one server or to several, of which each key has one.

    Arguments and times are as for `Node`. `node_map` says where nodes of a cluster are reached, if
    that is not where they say (`client.node_map`). The shards of an address share the slots.
    At most `size` connections are open to all nodes together;
    without it as many as `client.places` says.

    `reply_bytes` is the most that should be asked for at a time. It becomes finite once a server
    has shown that it limits what it owes to a client (`server.output_limit`). `dumps` is false once
    a server has refused DUMP, and `dumps_listpacks` once one gave a listpack otherwise than it lies
    in its memory: most servers compress them.
    """

    def __init__(
        self,
        address: Address,
        *,
        size: int | None = None,
        connect_timeout: float = 5.0,
        answer_timeout: float = 5.0,
        keep_idle: float = 30.0,
        deadline: float = 60.0,
        node_map: Mapping[str, str] | None = None,
    ) -> None:
        self.address = address
        self._node_map = node_map or {}
        self.counts = ConnectionCounts()
        self.reads = ReadCounts()
        self.retry = Retry(deadline=deadline)
        self.reply_bytes = math.inf
        self.dumps = True
        self.dumps_listpacks = True
        self.primaries: Pool | None = None
        self._replicas: Pool | None = None
        self._unfenced = False
        self._places = Places(size)
        self._times = (connect_timeout, answer_timeout, keep_idle, deadline)
        self._only = self._new_node(address)
        self._cluster: Cluster | None = None
        if address.shards:
            self._cluster = Cluster(
                SlotTable.even(len(address.shards)),
                address_of=lambda node: address.shards[int(node.id)],
                new_node=self._new_node,
                shown=address.shown,
                fixed=True,
            )
            self._places.grow_for(len(address.shards))
        self._beside = anyio.Lock(fast_acquire=True)
        self._settling = anyio.Lock()
        self._settled = bool(address.shards)

    @property
    def is_cluster(self) -> bool:
        """Whether it is a cluster, whose slots can move, and in which one command takes keys of one slot alone."""
        return self._cluster is not None and not self._cluster.fixed

    @property
    def table(self) -> SlotTable:
        """Which of the nodes has which slot, as far as is known now."""
        return ONE_FOR_ALL if self._cluster is None else self._cluster.table

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The servers that have keys: one, or the primaries of a cluster as far as is known now."""
        return (self._only,) if self._cluster is None else self._cluster.nodes

    def node_of(self, key: str | bytes) -> Node:
        """The server that has a key, as far as is known now; any of them if none has its slot."""
        return self._only if self._cluster is None else self._node_of(self._cluster, slot_of(key))

    def _node_of(self, cluster: Cluster, slot: int) -> Node:
        return cluster.node_of(slot) if self.primaries is None else cluster.reader_of(slot)

    @property
    def from_replicas(self) -> Pool:
        """This pool for reading from replicas, whose `primaries` it is; itself if it is not that of a cluster.

        What replicas have may be a moment behind, and nothing is tried again there.
        """
        if not self.is_cluster:
            return self
        if self._replicas is None:
            self._replicas = copy(self)
            self._replicas.primaries = self
            self._replicas.retry = Retry(deadline=0)
        return self._replicas

    def nodes_of(self, base: bytes, groups: NDArray[np.int64]) -> Iterator[tuple[Node, NDArray[np.int64]]]:
        """The servers that have the keys of groups, each with the indices of its groups in `groups` [N].

        `base` is the beginning of the keys of a generation. A slot without a server may be given to any of them.
        """
        if self._cluster is None:
            yield self._only, np.arange(len(groups))
            return
        slots = slots_of_groups(base, groups)
        owners = self._cluster.table.owners[slots]
        order = np.argsort(owners, kind="stable")
        begins = np.flatnonzero(np.diff(owners[order], prepend=NOBODY - 1))
        for rows in np.split(order, begins[1:]) if len(order) else ():
            yield self._node_of(self._cluster, int(slots[rows[0]])), rows

    def connection(self, to: str | bytes | Node) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection to a node, or to that which has a key, as `Node.connection` does."""
        if self._cluster is None:
            return self._only.connection()
        node = to if isinstance(to, Node) else self.node_of(to)
        return self._learning(node, node.connection())

    def writing(self, to: str | bytes | Node) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection for requests that must not be applied late, as `Node.writing` does."""
        if self._cluster is None:
            return self._only.writing()
        node = to if isinstance(to, Node) else self.node_of(to)
        return self._learning(node, node.writing())

    @asynccontextmanager
    async def _learning(
        self, node: Node, lent: AbstractAsyncContextManager[Connection]
    ) -> AsyncIterator[Connection]:
        """Lend a connection of a cluster, and learn from the errors of what goes over it."""
        assert self._cluster is not None  # noqa: S101 # for the type checker
        try:
            async with lent as connection:
                yield connection
        except Moved as error:
            await self._learn(error, node)
            raise
        except ServerBusy:
            raise
        except ServerUnavailable as error:
            await self._cluster.look_again(lost=node)
            named = {seed.identity for seed in self.address.seeds}
            if node.was_reached or self._cluster.fixed or node.address.identity in named:
                raise
            example = option("node_map", f"{node.address.place}=HOST:PORT")
            raise error.with_more(f"; if it is reached elsewhere from here: {example}") from error

    @asynccontextmanager
    async def beside(self, key: str | bytes, held: Connection) -> AsyncIterator[Connection]:
        """Lend a connection to the server that has a key to a task that holds one: that one, if it goes there.

        Another one takes no place, so nobody waits for a place while he holds one. There is one such loan at a time.
        """
        node = self.node_of(key)
        if held in node:
            yield held
            return
        async with self._beside, self._learning(node, node.connection(counted=False)) as connection:
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
        node = self.node_of(key_of(command))
        try:
            async with self.connection(node) as connection:
                return await connection.call(*command, expect=expect, doing=doing, limit=limit)
        except Asked as error:
            async with self.connection(await self.named_by(error, node)) as connection:
                return await connection.call(*command, expect=expect, doing=doing, limit=limit, asking=True)

    async def named_by(self, error: Redirected, said: Node) -> Node:
        """The node that has a slot, or that it is on its way to, as `said` by another. That it has moved is learned."""
        if self._cluster is None:
            return said
        if isinstance(error, Moved):
            await self._learn(error, said)
            return self._node_of(self._cluster, error.slot)
        return self._cluster.named_by(error, said)

    async def _learn(self, error: Moved, said: Node) -> None:
        assert self._cluster is not None  # noqa: S101 # for the type checker
        self._cluster.moved(error, said)
        await self._cluster.look_again()

    async def settle(self) -> None:
        """Find out once what is at the address, as `probe` does. It is tried again while the server is unavailable."""
        if not self._settled:
            async with self._settling:
                if not self._settled:
                    await until_available(self.probe, self.retry)

    async def probe(self) -> None:
        """Return if there is a server that lets us in, by one try; raise if not.

        Finds out whether it is a node of a cluster, and then who has which slot. Of several addresses the first
        that answers counts.
        """
        if self._cluster is not None:
            for node in self._cluster.nodes:
                await node.probe()
            self._settled = True
            return
        *others, last = self.address.seeds
        for address in others:
            try:
                await self._probe(address)
            except ServerUnavailable:
                continue
            return
        await self._probe(last)

    async def _probe(self, address: Address) -> None:
        if address.identity != self._only.address.identity:
            await self._only.aclose()
            self._only = self._new_node(address)
        table = await cluster_table(self._only, expected=self.address.is_cluster)
        self._settled = True
        if table is None:
            return
        check_table(table, named=self.address, asked=address)
        self._cluster = Cluster(
            table,
            address_of=partial(address_of, named=self.address, node_map=self._node_map),
            new_node=self._new_node,
            shown=self.address.shown,
        )
        self._places.grow_for(len(table.nodes))
        await self._only.aclose()

    async def look_again(self) -> None:
        """Ask a cluster anew who has which slot; see `Cluster.look_again`."""
        if self._cluster is not None:
            await self._cluster.look_again()

    async def fence_off(self, clients: Collection[ClientId] = ()) -> bool:
        """End these connections, and all that were given up here; as `Node.fence_off`, or `fence_soon` in a cluster."""
        if clients and self.is_cluster:
            return await fence_soon(self.nodes, clients)
        return all([await node.fence_off(clients, self.retry) for node in self.nodes])

    @property
    def doubted(self) -> set[ClientId]:
        """The connections of which requests may still be applied, as far as this pool knows."""
        return set().union(*(node.fence.doubted for node in self.nodes))

    @property
    def is_unfenced(self) -> bool:
        """Whether a connection could not be fenced because a right is missing."""
        return self._unfenced or any(node.fence.is_open for node in self.nodes)

    def note_unfenced(self) -> None:
        """Take note that nobody else can fence a connection of ours."""
        self._unfenced = True

    async def aclose(self) -> None:
        """Close the idle connections; those that are lent are closed when they are given back."""
        await self._only.aclose()
        if self._cluster is not None:
            await self._cluster.aclose()

    def _new_node(self, address: Address, *, is_replica: bool = False) -> Node:
        connect_timeout, answer_timeout, keep_idle, deadline = self._times
        return Node(
            address,
            places=self._places,
            counts=self.counts,
            connect_timeout=connect_timeout,
            answer_timeout=answer_timeout,
            keep_idle=keep_idle,
            deadline=deadline,
            is_replica=is_replica,
        )
