"""The transfer of chunks: producers, a stream bounded in bytes and several writers, under one task group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import anyio

from ..wire.batch import Batch
from .producer import Producer
from .stream import BatchStream

Deliver = Callable[[Batch], Awaitable[None]]
Acknowledge = Callable[[Batch], object]


async def transfer(
    numbers: Iterable[int],
    producer: Producer,
    deliver: Deliver,
    acknowledge: Acknowledge,
    *,
    writers: int,
    stream_bytes: int,
    stopping: anyio.Event,
) -> None:
    """Read, encode and deliver these chunks; return when every chunk that was read is delivered.

    When `stopping` is set no further chunk is read, and what is under way is still delivered.
    The error of a task cancels the others, and is raised in an ExceptionGroup.
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
            tasks.start_soon(write_all, stream, deliver, acknowledge)
        tasks.start_soon(produce)


async def write_all(stream: BatchStream, deliver: Deliver, acknowledge: Acknowledge) -> None:
    """One writer: deliver each batch and acknowledge it, until the stream has ended. Raises what `deliver` raises."""
    while True:
        try:
            batch = await stream.receive()
        except anyio.EndOfStream:
            return
        await deliver(batch)
        acknowledge(batch)
