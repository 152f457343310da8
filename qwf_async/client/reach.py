"""The check that a cluster's nodes are where the cluster says: behind a network of its own it names other addresses."""

from __future__ import annotations

from typing import Final

from ..errors import ServerUnavailable
from ..wording import option
from .failure import ServerBusy
from .pool import Pool

NODES_TRIED: Final = 2
"""Nodes of which one must answer."""


async def check_reach(pool: Pool) -> None:
    """Raise ServerUnavailable if a node that was named answers, and the nodes that it names do not.

    Nothing is asked where a node that was named has slots itself.
    """
    named = {seed.identity for seed in pool.address.seeds}
    if not pool.is_cluster or any(node.address.identity in named for node in pool.nodes):
        return None
    error: ServerUnavailable | None = None
    for node in pool.nodes[:NODES_TRIED]:
        try:
            return await node.probe()
        except ServerBusy:
            return None
        except ServerUnavailable as failure:
            error = failure
    example = option("node_map", f"{pool.nodes[0].address.place}=HOST:PORT")
    raise ServerUnavailable(
        f"{pool.address.shown} answers, but the nodes of its cluster do not where it says that they are ({error}): "
        f"name the addresses at which they are reached by {example}"
    ) from error
