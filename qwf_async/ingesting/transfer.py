"""The road of the points: producer → bounded stream → writers, under one task group."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from .delivery import Writer
from .producer import Producer
from .stream import BatchStream


async def pump(
    numbers: Iterable[int],
    producer: Producer,
    writer: Writer,
    *,
    writers: int,
    stream_bytes: int,
    stopping: anyio.Event,
) -> None:
    """Read, encode and write these chunks; return when every one that was read is applied.

    When `stopping` is set no further chunk is read, and what is under way is still written.
    The error of a task cancels the others, in an ExceptionGroup.
    """
    stream = BatchStream(stream_bytes)

    async def produce() -> None:
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await stopping.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(stop)
            await producer.run(numbers, stream)
            tasks.cancel_scope.cancel()
        stream.end()

    async with anyio.create_task_group() as tasks:
        for _ in range(writers):
            tasks.start_soon(writer.run, stream)
        tasks.start_soon(produce)
