"""Real local clusters, with the faults of machines: nodes killed, stopped and added, slots moved.

Every node finds in a file `nodes.conf` what the cluster is, so that nobody has to meet: what is left
are the 2 s that a server waits before it takes its place. Nodes have no persistence.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import redis

from tests.support.cluster_node import ClusterNode, held_port, wait_until
from tests.support.slot_moves import end_move, move_atomically, move_by_keys, ranges

SLOTS: Final = 16384


@dataclass(slots=True, kw_only=True)
class Cluster:
    """Primaries, each with as many replicas, that share the slots evenly. `options` are those of every node.

    No node outlives this process, however it ends: a shell that reads from us kills them all at end of file.
    """

    software: str
    directory: Path
    primary_count: int = 3
    replicas_each: int = 0
    options: dict[str, str] = field(default_factory=dict)
    nodes: list[ClusterNode] = field(default_factory=list)
    _keeper: subprocess.Popen[bytes] | None = None
    _ports: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """One node that answers, as a user would name the cluster."""
        return self.living[0].url

    @property
    def seeds(self) -> list[str]:
        """The addresses `host:port` of all nodes."""
        return [node.address for node in self.nodes]

    @property
    def plain(self) -> redis.RedisCluster:
        """An ordinary client of the cluster, to be closed."""
        node = self.living[0]
        return redis.RedisCluster(host="127.0.0.1", port=node.port, protocol=2)

    @property
    def living(self) -> list[ClusterNode]:
        """The nodes that run and are not stopped."""
        return [node for node in self.nodes if node.answers]

    @property
    def primaries(self) -> list[ClusterNode]:
        """The nodes that are primaries now, as a living node sees it, and answer."""
        rows = view(self.living[0])
        return [node for node in self.living if "master" in rows[node.address]["flags"].split(",")]

    def start(self) -> None:
        """Start all nodes, and wait until the cluster is whole. Takes 2 s."""
        # Without us a group that holds a stopped process gets SIGHUP. Source: _exit(2).
        keeping = ["sh", "-c", "trap '' HUP; read line; kill -9 0"]
        self._keeper = subprocess.Popen(keeping, stdin=subprocess.PIPE, process_group=0)
        lines = []
        for number in range(self.primary_count):
            first, last = SLOTS * number // self.primary_count, SLOTS * (number + 1) // self.primary_count - 1
            primary = self._new_node(secrets.token_hex(20))
            lines.append((primary, "master", "-", number + 1, f"{first}-{last}"))
            replicas = [self._new_node(primary.shard) for _ in range(self.replicas_each)]
            lines += [(replica, "slave", primary.id, number + 1, "") for replica in replicas]
        for node in self.nodes:
            table = "".join(
                other.line("myself," * (other is node) + flags, primary, epoch, slots)
                for other, flags, primary, epoch, slots in lines
            )
            last_line = f"vars currentEpoch {self.primary_count} lastVoteEpoch 0\n"
            (node.directory / "nodes.conf").write_text(table + last_line)
            node.start(self._group)
        self.wait_until_ok()

    def end(self) -> None:
        """Kill all nodes."""
        if self._keeper is not None:
            assert self._keeper.stdin is not None
            self._keeper.stdin.close()
            self._keeper.wait()
            self._keeper = None
        for node in self.nodes:
            node.kill()
        self._ports.close()

    def wait_until_ok(self) -> None:
        """Wait until all living nodes say `cluster_state:ok` and agree, and replicas are in sync."""
        wait_until(lambda: all(node.pings() for node in self.living), "nodes answer")
        wait_until(lambda: all(_is_ok(node) for node in self.living), "cluster_state:ok")
        wait_until(self._agrees, "nodes agree on slots")

    def contents(self) -> dict[bytes, Any]:
        """Every key of all primaries with what it holds, to be compared with a later look."""
        found: dict[bytes, Any] = {}
        for node in self.primaries:
            with node.plain as client:
                readers: dict[bytes, Any] = {b"hash": client.hgetall, b"string": client.get}
                for key in client.scan_iter():
                    try:
                        found[key] = readers.get(client.type(key), client.dump)(key)
                    except redis.exceptions.MovedError:
                        continue  # a key of a slot that was moved away, which is still being freed
        return found

    def flush(self) -> None:
        """Remove everything, and wait until replicas that answer have done so too."""
        for node in self.primaries:
            with node.plain as client:
                client.flushall()
                client.wait(client.info("replication")["connected_slaves"], 10_000)

    def node_of_slot(self, slot: int) -> ClusterNode:
        """The primary that has a slot now, as a living node sees it. Raises LookupError if none has."""
        for first, last, owner in _slots(self.living[0]):
            if first <= slot <= last:
                return self.node(owner)
        raise LookupError(slot)

    def node_of(self, key: str | bytes) -> ClusterNode:
        """The primary that has a key's slot now."""
        return self.node_of_slot(self.living[0].call("CLUSTER", "KEYSLOT", key))

    def node(self, identity: str) -> ClusterNode:
        return next(node for node in self.nodes if node.id == identity)

    def slots(self, primary: ClusterNode) -> list[int]:
        """The slots that a primary has now."""
        found = _slots(self.living[0])
        return [
            slot for first, last, owner in found if owner == primary.id for slot in range(first, last + 1)
        ]

    def replica_of(self, primary: ClusterNode) -> ClusterNode:
        """A living replica of a primary. Raises StopIteration if there is none."""
        rows = view(self.living[0])
        return next(node for node in self.living if rows[node.address]["master_id"] == primary.id)

    def kill(self, node: ClusterNode) -> None:
        """kill -9."""
        node.kill()

    def restart(self, node: ClusterNode, *, empty: bool = True) -> None:
        """Start a node that was killed again, empty or as it was at its last SAVE; it may not be what it was."""
        node.kill()
        if empty:  # a replica, too, saves what it has of its primary
            (node.directory / "dump.rdb").unlink(missing_ok=True)
        node.start(self._group)
        wait_until(node.pings, "node answers")

    def stop(self, node: ClusterNode) -> None:
        """SIGSTOP: it answers nothing any more, and its connections stay open."""
        node.stop()

    def go_on(self, node: ClusterNode) -> None:
        """SIGCONT."""
        node.go_on()

    def failover_done(self, lost: ClusterNode) -> ClusterNode:
        """Wait until a replica has the place of a primary that was lost, and return it."""
        heirs = [node for node in self.living if node.shard == lost.shard and node is not lost]
        found: list[ClusterNode] = []

        def has_heir() -> bool:
            found[:] = [heir for heir in heirs if all(_has_slots(node, heir) for node in self.living)]
            return bool(found) and all(_is_ok(node, synchronous=False) for node in self.living)

        wait_until(has_heir, "failover")
        return found[0]

    def move_slots(
        self,
        slots: Sequence[int],
        source: ClusterNode,
        target: ClusterNode,
        way: Literal["keys", "atomic"] = "keys",
    ) -> None:
        """Move slots with their keys: key by key with MIGRATE, or at once. Waits until all nodes know."""
        if way == "atomic":
            move_atomically(slots, source, target)
        else:
            others = [node for node in self.primaries if node not in (source, target)]
            move_by_keys(slots, source, target, others)
        wanted = {target.id}
        sought = ranges(slots)

        def all_know() -> bool:
            return all(_owners(node, sought) == wanted for node in self.living)

        wait_until(all_know, "all nodes know of the move")

    def end_move(self, slot: int, target: ClusterNode) -> None:
        """End what `begin_move` began: tell the target and all other primaries."""
        end_move(slot, target, [node for node in self.primaries if node is not target])

    def add_node(self) -> ClusterNode:
        """An empty primary that has joined."""
        node = self._new_node(secrets.token_hex(20))
        (node.directory / "nodes.conf").write_text(
            node.line("myself,master", "-", 0, "") + "vars currentEpoch 0 lastVoteEpoch 0\n"
        )
        known = self.living[0]
        node.start(self._group)
        wait_until(node.pings, "node answers")
        node.call("CLUSTER", "MEET", "127.0.0.1", known.port, known.bus)
        wait_until(lambda: all(self._knows_all(one) for one in self.living), "all nodes have met")
        self.wait_until_ok()
        return node

    @property
    def _group(self) -> int:
        assert self._keeper is not None
        return self._keeper.pid

    def _new_node(self, shard: str) -> ClusterNode:
        directory = self.directory / str(len(self.nodes))
        directory.mkdir()
        port, bus = held_port(self._ports), held_port(self._ports)
        node = ClusterNode(
            software=self.software, directory=directory, port=port, bus=bus, shard=shard, options=self.options
        )
        self.nodes.append(node)
        return node

    def _agrees(self) -> bool:
        return len({tuple(_slots(node)) for node in self.living}) == 1

    def _knows_all(self, node: ClusterNode) -> bool:
        rows = view(node)
        return all(
            rows.get(other.address, {}).get("node_id") == other.id
            and rows[other.address]["connected"]
            and "handshake" not in rows[other.address]["flags"]
            for other in self.living
        )


def view(node: ClusterNode) -> dict[str, Any]:
    """CLUSTER NODES as a node replies to it: what it knows of each address."""
    with node.plain as client:
        return client.cluster("NODES")  # type: ignore[no-any-return] # untyped in redis-py


def _slots(node: ClusterNode) -> list[tuple[int, int, str]]:
    """First slot, last slot, and id of the primary."""
    return sorted(
        (first, last, owner[2].decode()) for first, last, owner, *_ in node.call("CLUSTER", "SLOTS")
    )


def _owners(node: ClusterNode, sought: list[tuple[int, int]]) -> set[str]:
    """Who has any of these slots, in the eyes of a node."""
    return {
        owner
        for first, last, owner in _slots(node)
        if any(first <= end and begin <= last for begin, end in sought)
    }


def _has_slots(node: ClusterNode, heir: ClusterNode) -> bool:
    """Whether a node knows that another is a primary with slots."""
    return any(owner == heir.id for _, _, owner in _slots(node))


def _is_ok(node: ClusterNode, *, synchronous: bool = True) -> bool:
    """Whether the cluster is, and, if it is a replica, whether it is in sync."""
    if b"cluster_state:ok" not in node.call("CLUSTER", "INFO"):
        return False
    with node.plain as client:
        return not synchronous or client.info("replication").get("master_link_status", "up") == "up"


@contextmanager
def running(software: str, primaries: int = 3, replicas: int = 0, **options: str) -> Iterator[Cluster]:
    """A cluster in a directory of its own, gone at the end. `options` are those of every node."""
    with TemporaryDirectory(prefix="qwf-cluster-") as directory:
        cluster = Cluster(
            software=software,
            directory=Path(directory),
            primary_count=primaries,
            replicas_each=replicas,
            options=options,
        )
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.end()
