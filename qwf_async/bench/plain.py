"""The plain pipeline: what most people write with redis-py, HSET and HGET of one point at a time, 1,000 a pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..client.failure import translate
from ..errors import DamagedData
from ..store.store import Store

if TYPE_CHECKING:
    from redis.asyncio import Redis

PIPELINE: Final = 1000
"""Points of a pipeline."""


@asynccontextmanager
async def plain_client(store: Store, key: str) -> AsyncIterator[Redis]:
    """A client of redis-py, connected to the server that has this key. Raises what the project raises."""
    from redis import RedisError
    from redis.asyncio import ConnectionPool, Redis

    address = store.pool.node_of(key).address
    try:
        async with Redis.from_pool(ConnectionPool(**address.options)) as client:
            await client.ping()
            yield client
    except (RedisError, OSError) as error:
        raise translate(error, where=address.shown) from error


async def write_plainly(client: Redis, key: str, psi: NDArray[np.complex128]) -> None:
    """Each point of ψ[x] as a field of one hash, 16 bytes each."""
    for fields in _pipelines(len(psi)):
        pipeline: Any = client.pipeline(transaction=False)
        for x in fields:
            pipeline.hset(key, f"x{x}_y0_z0_t0", psi[x].tobytes())
        await pipeline.execute()


async def read_plainly(client: Redis, key: str, psi: NDArray[np.complex128]) -> None:
    """Read what `write_plainly` wrote. Raises DamagedData if it is another ψ."""
    found = np.empty_like(psi)
    for fields in _pipelines(len(psi)):
        pipeline: Any = client.pipeline(transaction=False)
        for x in fields:
            pipeline.hget(key, f"x{x}_y0_z0_t0")
        for x, value in zip(fields, await pipeline.execute(), strict=True):
            found[x] = np.frombuffer(value, np.complex128)[0]
    if not np.array_equal(found, psi):
        raise DamagedData("the plain pipeline read other values than it had written")


def _pipelines(points: int) -> Iterator[Sequence[int]]:
    for start in range(0, points, PIPELINE):
        yield range(start, min(points, start + PIPELINE))
