"""What is asked of every server of a store: of the only one, or of all nodes of a cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import numpy as np

from .node import Node
from .parallel import in_parallel
from .pool import Pool

T = TypeVar("T")

NODES_AT_ONCE: Final = 16
"""Nodes that are asked at a time, at most: each takes a connection."""

MOST_NUMBERS: Final = 200_000
"""Numbers of which every slot has one, whatever stands before and after them: digits reach every value of CRC16."""


async def ask_each(pool: Pool, ask: Callable[[Node], Awaitable[T]]) -> dict[Node, T]:
    """The answer of each node, in the order of `pool.nodes`. Each is asked once; the first QwfError is raised."""
    nodes = pool.nodes
    answers: dict[Node, T] = {}

    async def put(node: Node) -> None:
        answers[node] = await ask(node)

    await in_parallel(put, nodes, min(len(nodes), NODES_AT_ONCE))
    return {node: answers[node] for node in nodes}


def slot_counts(pool: Pool) -> dict[Node, int]:
    """How many slots each node has; empty for a single server."""
    if len(pool.nodes) == 1 and not pool.is_cluster:
        return {}
    counts = np.bincount(pool.table.owners + 1)[1:]
    return dict(zip(pool.nodes, counts[counts > 0].tolist(), strict=True))


def name_of(pool: Pool) -> str:
    """Where a store is, for a message: that it is a cluster is said, though its URL names a node alone."""
    named = pool.address.shown
    return f"the cluster of {named}" if pool.is_cluster and not pool.address.is_cluster else named


def number_on_each(pool: Pool, key_of: Callable[[int], bytes]) -> dict[Node, int]:
    """For each node a number of which it has the key: the smallest one, as far as is known now.

    Raises ServerUnavailable if a slot has no node.
    """
    nodes, found = set(pool.nodes), dict[Node, int]()
    for number in range(MOST_NUMBERS):
        found.setdefault(pool.node_of(key_of(number)), number)
        if found.keys() >= nodes:
            break
    return found
