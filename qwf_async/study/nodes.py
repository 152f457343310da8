"""Which server has a key: the only one, or a node of a cluster, as far as is known. For threads.

What is known of a cluster is kept as in `client.cluster`: a node that says who has a slot (MOVED) is
believed at once; after that, and after a node was lost, the table is asked for anew, of other nodes first.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from redis.exceptions import ResponseError

from ..client.address import Address
from ..client.cluster import LOOK_EVERY, NODES_ASKED, check_table, no_node, parsed_table, says_cluster
from ..client.counts import ConnectionCounts
from ..client.failure import Moved, Redirected, translate
from ..client.node_map import address_of
from ..client.slots import SLOTS, NodeAddress, SlotTable, slot_of
from ..errors import Refused, ServerUnavailable
from ..server.info import parse_info, whole_number
from .connection import Connection

if TYPE_CHECKING:
    from .place import Place

OLDEST: Final = 7
"""The first major version of Redis that runs studies. Every Valkey says that it is compatible with 7."""

_ASK_WHAT_IT_IS: Final = (("PING",), ("INFO", "server"), ("INFO", "cluster"))


class Nodes:
    """The servers at a place, with one connection to each. Nothing is connected before it is needed."""

    def __init__(self, place: Place, counts: ConnectionCounts) -> None:
        self._place = place
        self._counts = counts
        self._connections: dict[str, Connection] = {}
        self._announced: dict[NodeAddress, Connection] = {}
        self._only: Connection | None = None
        self.known_by: Callable[[], SlotTable | None] = lambda: None
        self._table: SlotTable | None = None
        self._next_look = 0.0
        if place.address.shards:
            self._table = SlotTable.even(len(place.address.shards))

    @property
    def is_cluster(self) -> bool:
        return self._table is not None and not self._place.address.shards

    def of(self, key: str | bytes, deadline: float) -> Connection:
        """The connection to the server that has a key; of a slot that nobody has, any.

        Finds out first what is at the place. Raises ServerUnavailable if nobody answers until the
        deadline, Refused if we are not let in or the server is too old, UsageError if it is no cluster.
        """
        if self._table is None:
            if self._only is not None:
                return self._only
            known = self.known_by()
            if known is None:
                self._find_out(deadline)
            else:  # the node that the URL names may be the one that is away
                self._adopt(known)
        return self._only if self._table is None and self._only is not None else self._of_slot(slot_of(key))

    @property
    def table(self) -> SlotTable | None:
        """Who has which slot, as far as is known. None before the first question, and where there is no cluster."""
        return self._table

    def all(self, deadline: float) -> list[Connection]:
        """The connections to all servers that have slots, as far as is known."""
        self.of("", deadline)
        if self._table is None:
            return [self._only] if self._only is not None else []
        with_slots = sorted(set(self._table.owners.tolist()) - {-1})
        return [self._at(self._table.nodes[index]) for index in with_slots]

    def named_by(self, error: Redirected, said: Connection, deadline: float) -> Connection:
        """The connection to the node that a redirection names. That a slot has moved is learned.

        Raises the error itself if no cluster was known of: what is there is found out anew at the next call.
        """
        table = self._table
        if table is None or self._place.address.shards:
            self._only = None
            raise error
        host = error.host or str(said.address.options.get("host", ""))
        if isinstance(error, Moved):
            if error.port:  # nodes that listen on sockets alone all announce the port 0: the table says which
                self._table = table.moved(error.slot, host, error.port)
            self.look_again(None, deadline)
            return self._of_slot(error.slot)
        fitting = [node for node in _every(table) if (node.host, node.port) == (host, error.port)]
        return self._at(fitting[0] if len(fitting) == 1 else NodeAddress(id="", host=host, port=error.port))

    def look_again(self, lost: Connection | None, deadline: float) -> None:
        """Ask a cluster anew who has which slot, unless that was done just now. Nothing is raised if nobody answers."""
        if self._table is None or self._place.address.shards or monotonic() < self._next_look:
            return
        self._next_look = monotonic() + LOOK_EVERY * (1 + random.random() / 2)  # noqa: S311 # no secret
        others = [node for node in _every(self._table) if self._announced.get(node) is not lost]
        random.shuffle(others)
        others = others[:NODES_ASKED]
        for number, node in enumerate(others):
            with suppress(ServerUnavailable, Refused):
                asked = self._at(node)
                table = _table_of(asked, _share(deadline, len(others) - number))
                if table.uncovered < SLOTS:  # a node that lost the others may say that nobody has anything
                    self._adopt(table)
                    return

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()

    def _find_out(self, deadline: float) -> None:
        """Find out what is at the address; of several the first that answers counts."""
        seeds = self._place.address.seeds
        for number, address in enumerate(seeds, 1):
            try:
                self._ask(address, _share(deadline, len(seeds) - number + 1))
            except ServerUnavailable:
                if number == len(seeds):
                    raise
            else:
                return

    def _ask(self, address: Address, deadline: float) -> None:
        asked, named = self._to(address), self._place.address
        pong, server, cluster = asked.exchange(_ASK_WHAT_IT_IS, deadline)
        if isinstance(pong, ResponseError):
            raise translate(pong, where=asked.where, doing="connecting") from pong
        if isinstance(server, bytes):
            _check_version(server, asked.where)
        says = says_cluster(cluster)
        if says is False:
            if named.is_cluster:
                raise no_node(address)
            self._only = asked
            return
        try:
            table = _table_of(asked, deadline)
        except Refused:  # INFO is forbidden, or does not tell
            if named.is_cluster or says:
                raise
            self._only = asked
            return
        check_table(table, named=named, asked=address)
        self._adopt(table)

    def _adopt(self, table: SlotTable) -> None:
        """Take a table for true, and close the connections to nodes that it does not have."""
        self._table = table
        here = {id(self._at(node)) for node in _every(table)}
        for identity, connection in list(self._connections.items()):
            if id(connection) not in here:
                connection.close()
                del self._connections[identity]
        self._announced = {node: self._at(node) for node in _every(table)}

    def _of_slot(self, slot: int) -> Connection:
        assert self._table is not None  # noqa: S101 # for the type checker
        owner = self._table.owner(slot)
        return self._at(random.choice(self._table.nodes) if owner is None else owner)  # noqa: S311 # no secret

    def _at(self, node: NodeAddress) -> Connection:
        found = self._announced.get(node)
        if found is None:
            shards = self._place.address.shards
            address = (
                shards[int(node.id)]
                if shards
                else address_of(node, self._place.address, self._place.node_map)
            )
            found = self._announced[node] = self._to(address)
        return found

    def _to(self, address: Address) -> Connection:
        found = self._connections.get(address.identity)
        if found is None:
            found = self._connections[address.identity] = Connection(address, self._counts)
        return found


def _every(table: SlotTable) -> list[NodeAddress]:
    """All nodes of a table, primaries and replicas."""
    groups = zip(table.nodes, table.replicas, strict=True)
    return [node for primary, replicas in groups for node in (primary, *replicas)]


def _share(deadline: float, count: int) -> float:
    """When the first of `count` attempts is to end, so that each has as much of the time that is left."""
    begun = monotonic()
    return begun + max(deadline - begun, 0) / count


def _table_of(asked: Connection, deadline: float) -> SlotTable:
    """The table that a node gives. Raises Refused if it is none of a cluster, or forbids to ask; ServerUnavailable."""
    (reply,) = asked.exchange([("CLUSTER", "SLOTS")], deadline)
    if isinstance(reply, ResponseError):
        raise translate(reply, where=asked.where, doing="asking which node has which slot") from reply
    return parsed_table(reply, asked.address)


def _check_version(info: bytes, where: str) -> None:
    """Raise Refused if a server says that it is too old. One that says nothing is believed to be new enough."""
    version = parse_info(info).get("redis_version", "")
    major = whole_number(version.partition(".")[0])
    if major is not None and major < OLDEST:
        raise Refused(
            f"{where}: this is Redis {version}, and studies need Redis {OLDEST} or later, or Valkey"
        )
