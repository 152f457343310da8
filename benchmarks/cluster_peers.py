"""The ways of others to load the same points into a cluster: a field a point, hashes of a chunk's size.

Each sends pipelines without transactions, of HSETs with mappings of 1000 points, from 8 tasks; the fields and
values are made on the way, as this project does. Every pipeline holds HSETs for hashes of all nodes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final

from . import clients
from .cost import Cost
from .fleet import Fleet
from .workload import Workload

MAPPING: Final = 1000
"""Points in one HSET."""

HASH: Final = 16
"""HSETs for one hash."""

TOGETHER: Final = 12
"""HSETs in a pipeline, each of another hash."""

Things = list[tuple[str, dict[str, bytes]]]


def pipelines(work: Workload) -> Iterator[Things]:
    """Keys and mappings, TOGETHER at a time; consecutive mappings are of different hashes."""
    mappings = enumerate(work.mappings(MAPPING))
    while some := list(islice(mappings, TOGETHER)):
        yield [(f"psi:{n // (HASH * TOGETHER)}:{n % TOGETHER}", mapping) for n, mapping in some]


@asynccontextmanager
async def _redis_py(servers: Fleet) -> AsyncIterator[Any]:
    from redis.asyncio import RedisCluster

    async with RedisCluster(host="127.0.0.1", port=servers.ports[0]) as client:
        yield client


async def _send_redis_py(client: Any, things: Things) -> None:
    pipeline = client.pipeline(transaction=False)
    for key, mapping in things:
        pipeline.hset(key, mapping=mapping)
    await pipeline.execute()


@asynccontextmanager
async def _coredis(servers: Fleet) -> AsyncIterator[Any]:
    from coredis import RedisCluster

    client: Any = RedisCluster("127.0.0.1", servers.ports[0], max_connections=4 * clients.TASKS)
    async with client:
        yield client


async def _send_coredis(client: Any, things: Things) -> None:
    async with client.pipeline(transaction=False) as pipeline:
        for key, mapping in things:
            pipeline.hset(key, mapping)


@asynccontextmanager
async def _glide(servers: Fleet) -> AsyncIterator[Any]:
    from glide import GlideClusterClient, GlideClusterClientConfiguration, NodeAddress

    where = [NodeAddress("127.0.0.1", servers.ports[0])]
    client = await GlideClusterClient.create(GlideClusterClientConfiguration(where, request_timeout=60_000))
    try:
        yield client
    finally:
        await client.close()


async def _send_glide(client: Any, things: Things) -> None:
    from glide import ClusterBatch

    batch = ClusterBatch(is_atomic=False)
    for key, mapping in things:
        batch.hset(key, mapping)
    await client.exec(batch, raise_on_error=True)


def _way(
    opened: Callable[[Fleet], Any], send: Callable[[Any, Things], Awaitable[None]]
) -> Callable[..., Cost]:
    def load(servers: Fleet, *, work: Workload) -> Cost:
        cost = clients.send_all(opened, servers, lambda: pipelines(work), send)
        stored = sum(node.fields("psi:*") for node in servers.nodes)
        assert stored == work.points, f"{stored} of {work.points} points"
        return cost

    return load


PEERS: Final = {
    "redis.asyncio cluster, pipelines": _way(_redis_py, _send_redis_py),
    "coredis cluster, pipelines": _way(_coredis, _send_coredis),
    "valkey-glide cluster, batches": _way(_glide, _send_glide),
}
