"""The transfer of chunks: producers, a stream bounded in bytes and writers of each lane, under one task group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import numpy as np
from numpy.typing import NDArray

from ..wire.batch import Batch
from .lanes import Lanes
from .producer import Producer
from .schedule import Schedule
from .stream import BatchStream

Deliver = Callable[[Batch], Awaitable[None]]
Acknowledge = Callable[[Batch], object]


async def transfer(
    numbers: NDArray[np.int64],
    producer: Producer,
    lanes: Lanes,
    acknowledge: Acknowledge,
    *,
    writers: int,
    stream_bytes: int,
    stopping: anyio.Event,
) -> None:
    """Read, encode and deliver these chunks, whose numbers grow; return when every chunk that was read is delivered.

    Each lane has writers of its own, from its first batch on. What more than `writers` batches that
    are under way hold counts against `stream_bytes`, as what waits does.

    When `stopping` is set no further chunk is read, and what is under way is still delivered.
    The error of a task cancels the others, and is raised in an ExceptionGroup.
    """

    def open_lane(number: int) -> None:
        lane = lanes[number]
        for _ in range(lane.writers):
            tasks.start_soon(write_all, stream, lane.delivery.write, acknowledge, number)

    stream = BatchStream(stream_bytes, lane_of=lanes.number_of, opened=open_lane, uncounted=writers)

    async def produce() -> None:
        schedule = Schedule(numbers, lanes, stream.is_lane_full)
        async with anyio.create_task_group() as producing:

            async def stop() -> None:
                await stopping.wait()
                producing.cancel_scope.cancel()

            producing.start_soon(stop)
            producing.start_soon(stream.run)
            await producer.run(schedule, stream, lanes.want_gates)
            producing.cancel_scope.cancel()
        stream.end()

    try:
        with lanes.telling(stream.put_off):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(produce)
    finally:
        stream.abandon()


async def write_all(stream: BatchStream, deliver: Deliver, acknowledge: Acknowledge, lane: int = 0) -> None:
    """One writer of a lane: deliver each batch and acknowledge it, until the stream has ended.

    Raises what `deliver` raises.
    """
    while True:
        try:
            batch = await stream.receive(lane)
        except anyio.EndOfStream:
            return
        await deliver(batch)
        acknowledge(batch)
        stream.done(batch, lane)
