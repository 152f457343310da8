"""Others' ways to store an array in blocks: a plain SET a block, and zarr-python in a local directory.

As in `peers`, each function returns what it cost. The blocks are handed over ready-made: cutting
them out of the array is not counted, as it is for this project.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from . import clients
from .cost import Clock, Cost
from .servers import Running
from .workload import Workload

TILE = (8, 8, 8)
PIPELINE = 32
"""Blocks that are sent together: 256 KiB."""

Block = tuple[str, bytes]


def blocks(work: Workload) -> list[Block]:
    """The array as blocks of 512 consecutive points: 8 KiB, as large as a tile."""
    data = work.psi.tobytes()
    return [(f"psi:{at}", data[at : at + 8192]) for at in range(0, len(data), 8192)]


def redis_cli(server: Running, work: Workload) -> Cost:
    """`redis-cli --pipe` with a SET for each block, from a file."""
    with tempfile.TemporaryFile() as file:
        for key, block in blocks(work):
            file.write(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n" % (len(key), key.encode()))
            file.write(b"$%d\r\n%s\r\n" % (len(block), block))
        file.flush()
        file.seek(0)
        return clients.pipe(server, file)


def redis_asyncio(server: Running, work: Workload) -> Cost:
    """redis.asyncio, pipelines of SET from 8 tasks."""

    def send(client: Any, some: list[Block]) -> Awaitable[Any]:
        pipeline = client.pipeline(transaction=False)
        for key, block in some:
            pipeline.set(key, block)
        sent: Awaitable[Any] = pipeline.execute()
        return sent

    return _set(clients.redis_asyncio, server, work, send)


def coredis(server: Running, work: Workload) -> Cost:
    """coredis, SET from 8 tasks."""

    async def send(client: Any, some: list[Block]) -> None:
        for key, block in some:
            await client.set(key, block)

    return _set(clients.coredis, server, work, send)


def valkey_glide(server: Running, work: Workload) -> Cost:
    """valkey-glide, SETs in groups at a time, from 8 tasks."""

    async def send(client: Any, some: list[Block]) -> None:
        await asyncio.gather(*(client.set(key, block) for key, block in some))

    return _set(clients.valkey_glide, server, work, send)


def zarr_local(_server: Running, work: Workload) -> Cost:
    """zarr-python: the same array in the same chunks, uncompressed, into a local directory."""
    import zarr

    with tempfile.TemporaryDirectory(prefix="qwf-bench-") as directory:
        clock = Clock()
        array = zarr.create_array(
            Path(directory) / "psi",
            shape=work.psi.shape,
            chunks=(1, *TILE),
            dtype="complex128",
            compressors=None,
        )
        array[...] = work.psi
        return clock.cost()


def _set(
    opened: clients.Opened,
    server: Running,
    work: Workload,
    send: Callable[[Any, list[Block]], Awaitable[Any]],
) -> Cost:
    ready = blocks(work)
    groups = [ready[at : at + PIPELINE] for at in range(0, len(ready), PIPELINE)]
    return clients.send_all(opened, server, lambda: groups, send)
