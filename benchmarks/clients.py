"""The clients of others: how each is opened, and how things are sent through it from several tasks.

The asynchronous ones run on uvloop, as this project does. The connection is open before the
clock starts.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import IO, Any, TypeVar

import anyio

from .cost import Clock, Cost
from .servers import Running

T = TypeVar("T")
S = TypeVar("S")

TASKS = 8
"""Tasks that send at the same time."""

Opened = Callable[[Running], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def redis_asyncio(server: Running) -> AsyncIterator[Any]:
    """redis.asyncio: each task gets a connection of its own."""
    from redis.asyncio import Redis

    async with Redis(unix_socket_path=str(server.socket)) as client:
        yield client


@asynccontextmanager
async def coredis(server: Running) -> AsyncIterator[Any]:
    """coredis, with as many connections as tasks."""
    from coredis import Redis

    async with Redis(unix_socket_path=str(server.socket), max_connections=TASKS) as client:
        yield client


@asynccontextmanager
async def valkey_glide(server: Running) -> AsyncIterator[Any]:
    """valkey-glide, which multiplexes all tasks over one connection."""
    from glide import GlideClient, GlideClientConfiguration, NodeAddress

    where = [NodeAddress(unix_socket_path=str(server.socket))]
    client = await GlideClient.create(GlideClientConfiguration(where, request_timeout=60_000))
    try:
        yield client
    finally:
        await client.close()


def send_all(
    opened: Callable[[S], AbstractAsyncContextManager[Any]],
    server: S,
    things: Callable[[], Iterable[T]],
    send: Callable[[Any, T], Awaitable[Any]],
) -> Cost:
    """Send all `things` by `send(client, thing)` from TASKS tasks; the making of the things is part of the cost."""

    async def load() -> Cost:
        async with opened(server) as client:
            clock = Clock()
            waiting = iter(things())

            async def task() -> None:
                for thing in waiting:
                    await send(client, thing)

            async with anyio.create_task_group() as group:
                for _ in range(TASKS):
                    group.start_soon(task)
            return clock.cost()

    return anyio.run(load, backend="asyncio", backend_options={"use_uvloop": True})


def pipe(server: Running, requests: IO[bytes]) -> Cost:
    """`redis-cli --pipe` with a file of requests on its standard input; what the process costs."""
    program = shutil.which("redis-cli")
    if program is None:
        raise SystemExit("there is no redis-cli on the PATH; Debian has it as redis-tools")
    clock = Clock()
    done = subprocess.run(
        [program, "-s", str(server.socket), "--pipe"], stdin=requests, capture_output=True, check=True
    )
    cost = clock.cost()
    assert b"errors: 0," in done.stdout, done.stdout
    return cost
