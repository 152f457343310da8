"""The ways of others to load the same points.

Each function takes a running server and a workload, loads it, and returns what it cost:
from the array in memory to the last reply, making fields and values included, the
connection already open. Exceptions: `redis-cli --pipe` is fed from a file that was
written beforehand, and timed as a process; `redis_py_ready` is handed its mappings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import redis

from . import clients
from .cost import Clock, Cost
from .servers import Running
from .workload import KEY, Workload

MAPPING = 1000
"""Points in one mapping or one pipeline."""


def redis_cli(server: Running, _work: Workload, *, requests: Path) -> Cost:
    """`redis-cli --pipe` with a file of requests on its standard input."""
    with requests.open("rb") as file:
        return clients.pipe(server, file)


def old_way(server: Running, work: Workload) -> Cost:
    """The old project's: one HSET a point, text values of 10 decimals, pipelines of 1000."""
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        clock = Clock()
        points = np.ndenumerate(work.psi)
        while some := list(islice(points, MAPPING)):
            pipeline = client.pipeline(transaction=False)
            for (t, x, y, z), value in some:
                pipeline.hset(KEY, f"x{x}_y{y}_z{z}_t{t}", f"{value.real:.10f},{value.imag:.10f}")
            pipeline.execute()
        return clock.cost()


def redis_py(server: Running, work: Workload) -> Cost:
    """redis-py, `hset(mapping)`."""
    return _redis_py(server, work.mappings(MAPPING))


def redis_py_ready(server: Running, work: Workload) -> Cost:
    """redis-py, `hset(mapping)`, with mappings made beforehand: the client alone."""
    return _redis_py(server, list(work.mappings(MAPPING)))


def _redis_py(server: Running, mappings: Iterable[dict[str, bytes]]) -> Cost:
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        client.ping()
        clock = Clock()
        for mapping in mappings:
            client.hset(KEY, mapping=mapping)
        return clock.cost()


def redis_asyncio(server: Running, work: Workload) -> Cost:
    """redis.asyncio, `hset(mapping)` from 8 tasks."""
    return clients.send_all(
        clients.redis_asyncio,
        server,
        partial(work.mappings, MAPPING),
        lambda client, mapping: client.hset(KEY, mapping=mapping),
    )


def coredis(server: Running, work: Workload) -> Cost:
    """coredis, `hset` from 8 tasks."""
    return clients.send_all(clients.coredis, server, partial(work.mappings, MAPPING), _hset)


def valkey_glide(server: Running, work: Workload) -> Cost:
    """valkey-glide, `hset` from 8 tasks."""
    return clients.send_all(clients.valkey_glide, server, partial(work.mappings, MAPPING), _hset)


def _hset(client: Any, mapping: dict[str, bytes]) -> Awaitable[Any]:
    sent: Awaitable[Any] = client.hset(KEY, mapping)
    return sent
