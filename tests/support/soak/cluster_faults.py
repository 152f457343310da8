"""Faults of a cluster, drawn from a seed: nodes killed, stopped, cut off and filled, slots moved.

Each leaves the cluster whole again: every shard has a primary and a replica in sync, and its slots.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.support.cluster_node import ClusterNode, wait_until
from tests.support.clusters import SLOTS, Cluster, view

ALL_PACKETS: Final = -2
NO_PACKETS: Final = -1
"""What DEBUG DROP-CLUSTER-PACKET-FILTER drops of what comes over the bus."""

OPTIONS: Final = {"enable-debug-command": "local", "cluster-allow-replica-migration": "no"}
"""What the nodes of a cluster need: one is to be cut off, and one without slots stays a primary."""


@dataclass(slots=True, kw_only=True)
class ClusterFault:
    """One fault of a kind in FAULTS. A third hits the node of `control`, the name that is loaded meanwhile.

    `begun` is set once it has struck: what it makes the cluster lose was acknowledged before that.
    `over` is set once the cluster is whole again.
    """

    cluster: Cluster
    kind: str
    control: str
    chance: random.Random
    begun: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def may_lose(self) -> bool:
        """Whether what was acknowledged may be gone: the replication of a cluster is asynchronous."""
        return self.kind in LOSING

    def run(self) -> None:
        """Strike, and return when the cluster is whole again. Blocks."""
        try:
            FAULTS[self.kind](self)
        finally:
            self.begun.set()
            self._heal()
            self.over.set()

    def victim(self) -> ClusterNode:
        """A random primary, in a third of the cases the one with the record of the name."""
        if self.chance.random() < 1 / 3:
            return self.cluster.node_of(f"{{{self.control}}}")
        return self.chance.choice(self.cluster.primaries)

    def wait(self, shortest: float, longest: float) -> None:
        time.sleep(self.chance.uniform(shortest, longest))

    def _heal(self) -> None:
        for node in self.cluster.nodes:
            if node.is_stopped:
                node.go_on()
            elif not node.answers:
                self.cluster.restart(node)
        self.cluster.wait_until_ok()
        wait_until(self._has_replicas, "every primary has a replica")

    def _has_replicas(self) -> bool:
        primaries = self.cluster.primaries
        shards = {node.shard for node in primaries}
        return len(primaries) == len(shards) == self.cluster.primary_count and all(
            node.call("INFO", "replication")["connected_slaves"] for node in primaries
        )

    def move_keys(self) -> None:
        """Some slots go to another primary key by key, and back."""
        self._move_both_ways(self.chance.randint(50, 200), "keys")

    def move_at_once(self) -> None:
        """A third of all slots go to another primary at once, and back."""
        self._move_both_ways(SLOTS // 3, "atomic")

    def _move_both_ways(self, number: int, way: Literal["keys", "atomic"]) -> None:
        source = self.victim()
        target = self.chance.choice([node for node in self.cluster.primaries if node is not source])
        slots = self.cluster.slots(source)[:number]
        self.begun.set()
        for a, b in ((source, target), (target, source)):
            self.cluster.move_slots(slots, a, b, way)

    def reshard(self) -> None:
        """redis-cli moves some slots, and back."""
        source = self.victim()
        target = self.chance.choice([node for node in self.cluster.primaries if node is not source])
        number = str(self.chance.randint(50, 200))
        self.begun.set()
        for a, b in ((source, target), (target, source)):
            options = ["--cluster-from", a.id, "--cluster-to", b.id, "--cluster-slots", number]
            wait_until(lambda: not _redis_cli("check", a.address).returncode, "all nodes agree")  # noqa: B023 # now
            done = _redis_cli("reshard", a.address, *options, "--cluster-yes")
            if done.returncode:
                raise RuntimeError(done.stdout[-2000:] + done.stderr)

    def kill(self) -> None:
        """A primary dies, and its replica takes its place."""
        victim = self.victim()
        victim.kill()
        self.begun.set()
        self.cluster.failover_done(victim)
        self.wait(0, 0.5)

    def kill_before_lagging(self) -> None:
        """A primary dies whose replica has had nothing of it for a second."""
        victim = self.victim()
        replica = self.cluster.replica_of(victim)
        replica.stop()
        victim.call("CLIENT", "KILL", "TYPE", "replica")
        self.wait(0.5, 1)
        victim.kill()
        self.begun.set()
        replica.go_on()
        self.cluster.failover_done(victim)

    def restart_empty(self) -> None:
        """A primary dies, and is back with nothing before its replica can take its place."""
        victim = self.victim()
        victim.kill()
        self.cluster.restart(victim)
        self.begun.set()

    def restart_older(self) -> None:
        """A primary dies, and is back as it was a moment ago before its replica can take its place."""
        victim = self.victim()
        victim.call("SAVE")
        self.wait(0, 0.8)
        victim.kill()
        self.cluster.restart(victim, empty=False)
        self.begun.set()

    def stop(self) -> None:
        """A primary stands still for longer than the node timeout, and wakes up to be a replica."""
        victim = self.victim()
        victim.stop()
        self.begun.set()
        self.cluster.failover_done(victim)
        self.wait(0, 1)

    def pause(self) -> None:
        """A primary stands still for less than the node timeout."""
        victim = self.victim()
        victim.stop()
        self.begun.set()
        self.wait(0.2, 0.6)
        victim.go_on()

    def fill(self) -> None:
        """One primary is full, as if by others."""
        victim = self.victim()
        used = victim.call("INFO", "memory")["used_memory"]
        victim.call("CONFIG", "SET", "maxmemory", int(used * self.chance.uniform(0.5, 1.1)))
        self.begun.set()
        self.wait(0.3, 3)
        victim.call("CONFIG", "SET", "maxmemory", 0)

    def cut_off(self) -> None:
        """A primary does not hear the others, nor they it; clients reach all. Its replica takes its place."""
        victim = self.victim()
        replica = self.cluster.replica_of(victim)
        with self._alone(victim):
            others = [node for node in self.cluster.living if node is not victim]
            wait_until(lambda: replica.call("ROLE")[0] == b"master", "a replica takes over")
            self.begun.set()
            wait_until(lambda: all(self._is_ok(node) for node in others), "the others go on")
            self.wait(0, 1)

    @contextmanager
    def _alone(self, victim: ClusterNode) -> Iterator[None]:
        """The victim drops what it hears over the bus, and can make no connection: it has not the address to do so."""
        victim.call("CONFIG", "SET", "bind-source-addr", "192.0.2.1")
        victim.call("DEBUG", "CLOSE-CLUSTER-LINK-ON-PACKET-DROP", 1)
        victim.call("DEBUG", "DROP-CLUSTER-PACKET-FILTER", ALL_PACKETS)
        try:
            wait_until(
                lambda: not any(row["connected"] for row in self._others(victim)), "connections are closed"
            )
            victim.call("DEBUG", "CLOSE-CLUSTER-LINK-ON-PACKET-DROP", 0)  # the others may connect again
            yield
        finally:
            victim.call("DEBUG", "DROP-CLUSTER-PACKET-FILTER", NO_PACKETS)
            victim.call("CONFIG", "SET", "bind-source-addr", "")

    def _others(self, node: ClusterNode) -> list[dict[str, Any]]:
        """What a node knows of the others."""
        return [row for row in view(node).values() if "myself" not in row["flags"]]

    def _is_ok(self, node: ClusterNode) -> bool:
        return b"cluster_state:ok" in node.call("CLUSTER", "INFO")

    def lose_coverage(self) -> None:
        """A whole shard stands still, so that the cluster is down."""
        self._stop_shard(0.5, 2.5)

    def kill_shard(self) -> None:
        """A whole shard dies, and is back with nothing after a while."""
        victim = self.victim()
        shard = [node for node in self.cluster.nodes if node.shard == victim.shard]
        for node in shard:
            node.kill()
        self.begun.set()
        self.wait(0, 2.5)
        self.cluster.restart(victim)

    def _stop_shard(self, shortest: float, longest: float) -> None:
        victim = self.victim()
        shard = [node for node in self.cluster.nodes if node.shard == victim.shard]
        for node in shard:
            node.stop()
        self.begun.set()
        self.wait(1 + shortest, 1 + longest)
        for node in shard:
            node.go_on()


def _redis_cli(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["redis-cli", "--cluster", *words], capture_output=True, text=True, check=False)


FAULTS: Final[dict[str, Callable[[ClusterFault], None]]] = {
    "slots moved by keys": ClusterFault.move_keys,
    "slots moved at once": ClusterFault.move_at_once,
    "resharded": ClusterFault.reshard,
    "primary killed": ClusterFault.kill,
    "primary of a lagging replica killed": ClusterFault.kill_before_lagging,
    "primary restarted empty": ClusterFault.restart_empty,
    "primary restarted older": ClusterFault.restart_older,
    "primary stopped": ClusterFault.stop,
    "primary paused": ClusterFault.pause,
    "primary full": ClusterFault.fill,
    "primary cut off": ClusterFault.cut_off,
    "coverage lost": ClusterFault.lose_coverage,
    "shard killed": ClusterFault.kill_shard,
}

VALKEY_ALONE: Final = {"slots moved at once", "primary cut off"}
"""Kinds that Redis 7.0 has no command for."""

LOSING: Final = {
    "primary killed",
    "primary of a lagging replica killed",
    "primary restarted empty",
    "primary restarted older",
    "primary stopped",
    "primary cut off",
    "coverage lost",
    "shard killed",
}
"""Kinds after which what a primary had acknowledged may be gone."""
