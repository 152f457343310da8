"""The ways of others to load the same points.

Each function takes a running server and a workload, loads it, and returns the seconds it
took: from the array in memory to the last reply, making fields and values included, the
connection already open. Exceptions: `redis-cli --pipe` is fed from a file that was
written beforehand, and timed as a process; `redis_py_ready` is handed its mappings. The
asynchronous clients run on uvloop, as this project does.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import redis

from .servers import Running
from .workload import KEY, Workload

MAPPING = 1000
"""Points in one mapping or one pipeline."""

TASKS = 8
"""Tasks of an asynchronous client that load at the same time."""

Mapping = dict[str, bytes]


def redis_cli(server: Running, _work: Workload, *, requests: Path) -> float:
    """`redis-cli --pipe` with a file of requests on its standard input."""
    program = shutil.which("redis-cli")
    if program is None:
        raise SystemExit("there is no redis-cli on the PATH; Debian has it as redis-tools")
    with requests.open("rb") as file:
        start = time.perf_counter()
        done = subprocess.run(
            [program, "-s", str(server.socket), "--pipe"], stdin=file, capture_output=True, check=True
        )
        seconds = time.perf_counter() - start
    assert b"errors: 0," in done.stdout, done.stdout
    return seconds


def old_way(server: Running, work: Workload) -> float:
    """The old project's: one HSET a point, text values of 10 decimals, pipelines of 1000."""
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        start = time.perf_counter()
        points = np.ndenumerate(work.psi)
        while some := list(islice(points, MAPPING)):
            pipeline = client.pipeline(transaction=False)
            for (t, x, y, z), value in some:
                pipeline.hset(KEY, f"x{x}_y{y}_z{z}_t{t}", f"{value.real:.10f},{value.imag:.10f}")
            pipeline.execute()
        return time.perf_counter() - start


def redis_py(server: Running, work: Workload) -> float:
    """redis-py, `hset(mapping)`."""
    return _redis_py(server, work.mappings(MAPPING))


def redis_py_ready(server: Running, work: Workload) -> float:
    """redis-py, `hset(mapping)`, with mappings made beforehand: the client alone."""
    return _redis_py(server, list(work.mappings(MAPPING)))


def _redis_py(server: Running, mappings: Iterable[Mapping]) -> float:
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        client.ping()
        start = time.perf_counter()
        for mapping in mappings:
            client.hset(KEY, mapping=mapping)
        return time.perf_counter() - start


def redis_asyncio(server: Running, work: Workload) -> float:
    """redis.asyncio, `hset(mapping)` from 8 tasks, each with a connection of its own."""

    async def load() -> float:
        from redis.asyncio import Redis

        async with Redis(unix_socket_path=str(server.socket)) as client:

            async def send(mapping: Mapping) -> Any:
                await client.hset(KEY, mapping=mapping)  # type: ignore[arg-type] # Mapping is invariant in its keys

            return await _in_tasks(work, send)

    return _on_uvloop(load)


def coredis(server: Running, work: Workload) -> float:
    """coredis, `hset` from 8 tasks over 8 connections."""

    async def load() -> float:
        from coredis import Redis

        async with Redis(unix_socket_path=str(server.socket), max_connections=TASKS) as client:

            async def send(mapping: Mapping) -> Any:
                await client.hset(KEY, mapping)

            return await _in_tasks(work, send)

    return _on_uvloop(load)


def valkey_glide(server: Running, work: Workload) -> float:
    """valkey-glide, `hset` from 8 tasks over its one multiplexed connection."""

    async def load() -> float:
        from glide import GlideClient, GlideClientConfiguration, NodeAddress

        where = [NodeAddress(unix_socket_path=str(server.socket))]
        client = await GlideClient.create(GlideClientConfiguration(where, request_timeout=60_000))
        try:

            async def send(mapping: Mapping) -> Any:
                await client.hset(KEY, {**mapping})

            return await _in_tasks(work, send)
        finally:
            await client.close()

    return _on_uvloop(load)


async def _in_tasks(work: Workload, send: Callable[[Mapping], Awaitable[Any]]) -> float:
    """Send all mappings, TASKS at a time, each made when it is its turn; seconds."""
    start = time.perf_counter()
    mappings = work.mappings(MAPPING)

    async def task() -> None:
        for mapping in mappings:
            await send(mapping)

    async with anyio.create_task_group() as group:
        for _ in range(TASKS):
            group.start_soon(task)
    return time.perf_counter() - start


def _on_uvloop(load: Callable[[], Awaitable[float]]) -> float:
    return anyio.run(load, backend="asyncio", backend_options={"use_uvloop": True})
