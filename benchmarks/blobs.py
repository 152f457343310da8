"""Others' ways to store an array in blocks: a plain SET a block, and zarr-python in a local directory.

As in `peers`, each function returns seconds. The blocks are handed over ready-made: cutting
them out of the array is not counted, as it is for this project.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio

from .servers import Running
from .workload import Workload

TILE = (8, 8, 8)
TASKS = 8
PIPELINE = 32
"""Blocks in one pipeline, of the clients that have pipelines: 256 KiB."""

Block = tuple[str, bytes]


def blocks(work: Workload) -> list[Block]:
    """The array as blocks of 512 consecutive points: 8 KiB, as large as a tile."""
    data = work.psi.tobytes()
    return [(f"psi:{at}", data[at : at + 8192]) for at in range(0, len(data), 8192)]


def redis_cli(server: Running, work: Workload) -> float:
    """`redis-cli --pipe` with a SET for each block, from a file; the process is timed."""
    program = shutil.which("redis-cli") or "redis-cli"
    with tempfile.TemporaryFile() as file:
        for key, block in blocks(work):
            file.write(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n" % (len(key), key.encode()))
            file.write(b"$%d\r\n%s\r\n" % (len(block), block))
        file.flush()
        file.seek(0)
        start = time.perf_counter()
        command = [program, "-s", str(server.socket), "--pipe"]
        done = subprocess.run(command, stdin=file, capture_output=True, check=True)
        seconds = time.perf_counter() - start
    assert b"errors: 0," in done.stdout, done.stdout
    return seconds


def redis_asyncio(server: Running, work: Workload) -> float:
    """redis.asyncio, pipelines of SET from 8 tasks."""

    async def load() -> float:
        from redis.asyncio import Redis

        async with Redis(unix_socket_path=str(server.socket)) as client:

            async def send(some: list[Block]) -> None:
                pipeline = client.pipeline(transaction=False)
                for key, block in some:
                    pipeline.set(key, block)
                await pipeline.execute()

            return await _in_tasks(work, send)

    return _on_uvloop(load)


def coredis(server: Running, work: Workload) -> float:
    """coredis, SET from 8 tasks over 8 connections."""

    async def load() -> float:
        from coredis import Redis

        async with Redis(unix_socket_path=str(server.socket), max_connections=TASKS) as client:

            async def send(some: list[Block]) -> None:
                for key, block in some:
                    await client.set(key, block)

            return await _in_tasks(work, send)

    return _on_uvloop(load)


def valkey_glide(server: Running, work: Workload) -> float:
    """valkey-glide, SETs in groups at a time over its one connection, from 8 tasks."""

    async def load() -> float:
        from glide import GlideClient, GlideClientConfiguration, NodeAddress

        where = [NodeAddress(unix_socket_path=str(server.socket))]
        client = await GlideClient.create(GlideClientConfiguration(where, request_timeout=60_000))
        try:

            async def send(some: list[Block]) -> None:
                await asyncio.gather(*(client.set(key, block) for key, block in some))

            return await _in_tasks(work, send)
        finally:
            await client.close()

    return _on_uvloop(load)


def zarr_local(_server: Running, work: Workload) -> float:
    """zarr-python: the same array in the same chunks, uncompressed, into a local directory."""
    import zarr

    with tempfile.TemporaryDirectory(prefix="qwf-bench-") as directory:
        start = time.perf_counter()
        array = zarr.create_array(
            Path(directory) / "psi",
            shape=work.psi.shape,
            chunks=(1, *TILE),
            dtype="complex128",
            compressors=None,
        )
        array[...] = work.psi
        return time.perf_counter() - start


async def _in_tasks(work: Workload, send: Callable[[list[Block]], Awaitable[Any]]) -> float:
    ready = blocks(work)
    groups: Iterator[list[Block]] = iter([ready[at : at + PIPELINE] for at in range(0, len(ready), PIPELINE)])
    start = time.perf_counter()

    async def task() -> None:
        for some in groups:
            await send(some)

    async with anyio.create_task_group() as group:
        for _ in range(TASKS):
            group.start_soon(task)
    return time.perf_counter() - start


def _on_uvloop(load: Callable[[], Awaitable[float]]) -> float:
    return anyio.run(load, backend="asyncio", backend_options={"use_uvloop": True})
