"""What a process knows of a cluster: its nodes, and which of them has which slot.

What is known is out of date as soon as a slot moves or a node fails. A node that does not have a
slot says who has it (MOVED): that is learned at once, for this slot. After that, and after a
node gave no answer, the whole table is asked for anew: by one task at a time, twice a second at
most, and of a node at random. So a failure makes no storm of questions, and a node that is cut
off from the others is not the only one to be asked.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol, TypeGuard

import anyio
import numpy as np

from ..errors import Refused, ServerUnavailable, UsageError
from .address import Address
from .connection import now
from .failure import Redirected, UnexpectedReply
from .guard import SLOT_TABLE_BYTES
from .node import Node
from .reply import is_text
from .slots import NOBODY, SLOTS, NodeAddress, SlotTable

LOOK_EVERY: Final = 0.5
"""Seconds between two questions for the table, at least. A random half is added, so that clients do not ask at once.

What is to go to a node that was lost waits for so long after another has taken its place.
"""

LOOK_TIME: Final = 1.0
"""Seconds that one node may take to answer."""

NODES_ASKED: Final = 3
"""Nodes that are asked, one after the other, until one answers."""


_ENABLED: Final = re.compile(rb"^cluster_enabled:([01])\r?$", re.MULTILINE)


class NewNode(Protocol):
    """Makes the connections to a server, which may be a replica that is only read from."""

    def __call__(self, address: Address, *, is_replica: bool = False) -> Node: ...


class Uncovered(ServerUnavailable):
    """Slots of the cluster have no node."""


class Cluster:
    """The nodes that have slots, by a table that is kept up to date; one that is `fixed` never changes.

    `address_of` gives the address of a node that the cluster announces, and `new_node` makes its connections.
    """

    def __init__(
        self,
        table: SlotTable,
        *,
        address_of: Callable[[NodeAddress], Address],
        new_node: NewNode,
        shown: str,
        fixed: bool = False,
    ) -> None:
        self.fixed = fixed
        self._shown = shown
        self._address_of = address_of
        self._new_node = new_node
        self._known: dict[str, Node] = {}
        self._readers: dict[str, Node] = {}
        self._looking = anyio.Lock()
        self._next_look = 0.0
        self._adopt(table)

    @property
    def table(self) -> SlotTable:
        """Who has which slot, as far as is known."""
        return self._table

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that have slots, in the order of the table."""
        return self._with_slots

    def node_of(self, slot: int) -> Node:
        """The node that has a slot; of a slot that nobody has, any: it says who has it now, or that nobody has."""
        index = int(self._table.owners[slot])
        return random.choice(self._with_slots) if index == NOBODY else self._by_index[index]  # noqa: S311 # no secret

    def reader_of(self, slot: int) -> Node:
        """A replica of the node that has a slot, at random; that node itself if it has none."""
        primary, index = self.node_of(slot), int(self._table.owners[slot])
        if not self._table.replicas[index]:
            return primary
        announced = random.choice(self._table.replicas[index])  # noqa: S311 # no secret
        address = self._address_of(announced)
        reader = self._readers.get(address.identity)
        if reader is None:
            reader = self._readers[address.identity] = self._new_node(address, is_replica=True)
        return reader

    def named_by(self, error: Redirected, said: Node) -> Node:
        """The node that a redirection names, `said` by another node."""
        host = error.host or str(said.address.options.get("host", ""))
        found = self._announced(host, error.port)
        return self._at(found[0] if len(found) == 1 else NodeAddress(id="", host=host, port=error.port))

    def moved(self, error: Redirected, said: Node) -> None:
        """Learn that a slot belongs to another node, as MOVED said."""
        host = error.host or str(said.address.options.get("host", ""))
        # Nodes that listen on sockets alone all announce the port 0: which of them it is, only the table says.
        if not self.fixed and error.port:
            with suppress(Refused):  # if nothing says where that node is, the whole table may
                self._adopt(self._table.moved(error.slot, host, error.port))

    async def look_again(self, lost: Node | None = None) -> None:
        """Ask for the table anew, unless that was done just now. Nothing is raised if nobody answers."""
        if self.fixed or self._looking.locked() or now() < self._next_look:
            return
        async with self._looking:
            self._next_look = now() + LOOK_EVERY * (1 + random.random() / 2)  # noqa: S311 # no secret
            others = [node for node in self._known.values() if node is not lost]
            random.shuffle(others)
            for node in others[:NODES_ASKED]:
                with suppress(ServerUnavailable, Refused), anyio.move_on_after(LOOK_TIME):
                    table = await table_of(node)
                    if (
                        table.uncovered < SLOTS
                    ):  # a node that lost the others may say that nobody has anything
                        self._adopt(table)
                        await self._forget_nodes()
                        return

    def _adopt(self, table: SlotTable) -> None:
        self._table = table
        self._by_index = tuple(map(self._at, table.nodes))
        counts = np.bincount(table.owners + 1, minlength=len(table.nodes) + 1)[1:]
        self._with_slots = tuple(node for node, count in zip(self._by_index, counts, strict=True) if count)

    def _announced(self, host: str, port: int) -> list[NodeAddress]:
        """The nodes that the cluster announces by this host and port."""
        every: Iterable[NodeAddress] = (
            node
            for primary, replicas in zip(self._table.nodes, self._table.replicas, strict=True)
            for node in (primary, *replicas)
        )
        return [node for node in every if (node.host, node.port) == (host, port)]

    def _at(self, announced: NodeAddress) -> Node:
        """The connections to a node, which are kept as long as the cluster has the node."""
        address = self._address_of(announced)
        node = self._known.get(address.identity)
        if node is None:
            node = self._known[address.identity] = self._new_node(address)
        return node

    async def _forget_nodes(self) -> None:
        """Close the connections to nodes that the cluster does not have any more."""
        here = set(self._by_index)
        for identity, node in list(self._known.items()):
            if node not in here and not node.fence.given_up:
                del self._known[identity]
                await node.aclose()

    async def aclose(self) -> None:
        """Close the idle connections to all nodes."""
        for node in (*self._known.values(), *self._readers.values()):
            await node.aclose()


async def table_of(node: Node) -> SlotTable:
    """The table that a node gives. Raises Refused if it is none of a cluster, or forbids to ask; ServerUnavailable."""
    async with node.connection(counted=False) as connection:  # the one who asks may hold the last place
        reply = await connection.call(
            "CLUSTER",
            "SLOTS",
            expect=_is_list,
            doing="asking which node has which slot",
            limit=SLOT_TABLE_BYTES,
        )
    return parsed_table(reply, node.address)


def parsed_table(reply: Any, asked: Address) -> SlotTable:
    """The table in a reply to CLUSTER SLOTS of a node. Raises UnexpectedReply if it is none."""
    options = asked.options
    try:
        return SlotTable.parse(reply, asked=(str(options.get("host", "localhost")), options.get("port", 0)))
    except ValueError as error:
        raise UnexpectedReply(f"{asked.shown}: {error}") from error


async def cluster_table(node: Node, *, expected: bool) -> SlotTable | None:
    """The table that a server gives; None if it is no node of a cluster, or does not tell and none is `expected`.

    Raises UsageError if a cluster is expected and it is none, Refused if it does not let us in, and ServerUnavailable.
    """
    async with node.connection() as connection:
        pong, info = await connection.pipeline([["PING"], ["INFO", "cluster"]])
        connection.expected(pong, is_text, doing="connecting")
    says = says_cluster(info)
    if says is False:
        if expected:
            raise no_node(node.address)
        return None
    try:
        return await table_of(node)
    except Refused:  # INFO is forbidden, or does not tell
        if expected or says:
            raise
        return None


def says_cluster(info: Any) -> bool | None:
    """Whether a server is a node of a cluster, by its reply to INFO cluster; None if it does not tell."""
    enabled = _ENABLED.search(info) if is_text(info) else None
    return None if enabled is None else enabled[1] == b"1"


def no_node(address: Address) -> UsageError:
    """The error for a server that was named as a node of a cluster, and is none."""
    return UsageError(f"{address.shown} is no node of a cluster: name it by redis://, and it alone")


def check_table(table: SlotTable, *, named: Address, asked: Address) -> None:
    """Raise UsageError if a database was `named`, which a cluster has not, and Uncovered if a slot has no node."""
    if named.options.get("db"):
        raise UsageError(
            f"{named.shown} is a cluster, which has only the database 0: leave its number out of the URL"
        )
    if table.uncovered:
        raise Uncovered(
            f"{named.shown}: {table.uncovered:,} of the {SLOTS:,} slots of the cluster have no node: "
            f"see what redis-cli --cluster check {asked.place} says"
        )


def _is_list(reply: Any) -> TypeGuard[list[Any]]:
    return isinstance(reply, list)
