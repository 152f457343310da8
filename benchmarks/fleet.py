"""Several servers of a benchmark: a cluster of three nodes, and three of their own that share the slots.

All run side by side, and a contestant uses some of them; those that have nothing to do cost next to nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from qwf_async.client.address import Address
from qwf_async.client.slots import SLOTS, SlotTable
from qwf_async.settings import Settings
from qwf_async.store.connecting import pool_to
from qwf_async.store.store import Store

from .servers import Kind, Running, place, started

NODES: Final = 3
PATIENCE: Final = 20.0
"""Seconds for the nodes of a cluster to meet; it takes about 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Servers of their own, and the nodes of a cluster, whose TCP ports are `ports`."""

    servers: tuple[Running, ...]
    nodes: tuple[Running, ...]
    server_ports: tuple[int, ...]
    ports: tuple[int, ...]

    @property
    def software(self) -> str:
        return self.servers[0].software

    def empty(self) -> int:
        return sum(server.empty() for server in (*self.servers, *self.nodes))

    def used_memory(self) -> int:
        return sum(server.used_memory() for server in (*self.servers, *self.nodes))

    def cpu_seconds(self) -> float:
        return sum(server.cpu_seconds() for server in (*self.servers, *self.nodes))

    @property
    def one(self) -> Address:
        """One server, by its unix socket."""
        return Address.parse(self.servers[0].url)

    @property
    def one_tcp(self) -> Address:
        """The same server, over TCP."""
        return Address.parse(f"redis://127.0.0.1:{self.server_ports[0]}")

    @property
    def cluster(self) -> Address:
        """The cluster, over TCP."""
        return Address.parse(f"redis://127.0.0.1:{self.ports[0]}")

    @property
    def shards(self) -> Address:
        """The servers as shards, by their unix sockets."""
        return Address.of_shards([Address.parse(server.url) for server in self.servers])

    def virtual(self, count: int) -> Address:
        """So many shards, over TCP: the servers in turn, each as if it were on a machine of its own. On Linux alone."""
        ports = self.server_ports
        hosts = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(count)]
        urls = [f"redis://{host}:{ports[number % len(ports)]}" for number, host in enumerate(hosts)]
        return Address.of_shards([Address.parse(url) for url in urls])


@contextmanager
def fleet(kind: Kind) -> Iterator[Fleet]:
    """NODES servers of their own, and a cluster of as many nodes, gone at the end."""
    with ExitStack() as stack:
        free = iter(_free_ports(3 * NODES))
        alone = [next(free) for _ in range(NODES)]
        servers, nodes, ports = [], [], []
        owners = SlotTable.even(NODES).owners
        for port in alone:
            more = {"bind": "0.0.0.0", "port": str(port), "protected-mode": "yes"}  # noqa: S104 # refuses other machines
            servers.append(stack.enter_context(started(kind, stack.enter_context(place()), more=more)))
        for _ in range(NODES):
            port, bus = next(free), next(free)
            more = {
                "bind": "127.0.0.1",
                "port": str(port),
                "cluster-enabled": "yes",
                "cluster-port": str(bus),
            }
            nodes.append(stack.enter_context(started(kind, stack.enter_context(place()), more=more)))
            ports.append(port)
            first, *_, last = np.flatnonzero(owners == len(nodes) - 1).tolist()
            nodes[-1].control.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)  # type: ignore[no-untyped-call] # untyped in redis-py
            if len(nodes) > 1:
                nodes[0].control.execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)  # type: ignore[no-untyped-call] # untyped in redis-py
        _wait_until_ok(nodes)
        yield Fleet(servers=tuple(servers), nodes=tuple(nodes), server_ports=tuple(alone), ports=tuple(ports))


@asynccontextmanager
async def store_at(address: Address, settings: Settings) -> AsyncIterator[Store]:
    """A store whose connections go to an address, which need not have a URL."""
    store = Store(pool_to(address, settings), settings, None)
    try:
        await store.pool.probe()
        yield store
    finally:
        await store.aclose()


def _wait_until_ok(nodes: list[Running]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not all(_is_ok(node) for node in nodes):
        if time.monotonic() > deadline:
            raise SystemExit("the nodes of the cluster have not met")
        time.sleep(0.05)


def _is_ok(node: Running) -> bool:
    info: dict[str, str] = node.control.cluster("INFO")
    return info["cluster_state"] == "ok" and info["cluster_slots_assigned"] == str(SLOTS)


def _free_ports(count: int) -> list[int]:
    """TCP ports that nobody has at this moment."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
