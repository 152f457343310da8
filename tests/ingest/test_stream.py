"""The stream between producers and writers: bounded in bytes, in order, with nothing lost."""

from __future__ import annotations

import random
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from anyio import EndOfStream
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.ingesting.stream import BatchStream
from qwf_async.wire.batch import Batch, Part
from tests.conftest import PATIENCE

pytestmark = pytest.mark.anyio


def batch(number: int, nbytes: int = 1) -> Batch:
    part = Part(key=b"k", requests=1, buffers=[bytes(nbytes)])
    return Batch(chunk=number, points=1, parts=(part,), digest=0, weight=0.0, values=np.zeros(1, complex))


async def send(stream: BatchStream, one: Batch) -> None:
    """Put batches as a producer does."""
    await stream.room()
    await anyio.to_thread.run_sync(stream.put, one)


async def drained(stream: BatchStream) -> list[int]:
    """The numbers of the batches that are still received."""
    found = []
    try:
        while True:
            found.append((await stream.receive()).chunk)
    except EndOfStream:
        return found


async def test_batches_come_in_the_order_sent_and_then_the_end() -> None:
    stream = BatchStream(1000)
    for number in range(5):
        await send(stream, batch(number))
    stream.end()
    assert await drained(stream) == [0, 1, 2, 3, 4]
    with pytest.raises(EndOfStream):  # and again, for a second writer
        await stream.receive()


async def test_the_end_wakes_every_waiting_writer() -> None:
    stream = BatchStream(1000)
    found: list[int] = []

    async def write() -> None:
        found.extend(await drained(stream))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            await send(stream, batch(7))
            stream.end()
    assert found == [7]


async def test_sending_waits_while_the_limit_is_reached() -> None:
    stream = BatchStream(100)
    sent = []

    async def produce() -> None:
        for number, nbytes in enumerate([60, 60, 1, 1]):
            await send(stream, batch(number, nbytes))
            sent.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce)
        await anyio.wait_all_tasks_blocked()
        assert sent == [0, 1]  # 120 bytes: the limit and less than one batch
        assert (await stream.receive()).chunk == 0
        await anyio.wait_all_tasks_blocked()
        assert sent == [0, 1, 2, 3]


async def test_a_batch_larger_than_the_limit_passes() -> None:
    stream = BatchStream(10)
    with anyio.fail_after(PATIENCE):
        await send(stream, batch(0, 1000))
        assert (await stream.receive()).nbytes == 1000


async def test_a_cancelled_sender_leaves_nothing_behind() -> None:
    stream = BatchStream(1)
    await send(stream, batch(0))
    with anyio.move_on_after(0.01) as scope:
        await send(stream, batch(1))
    assert scope.cancelled_caught
    stream.end()
    assert await drained(stream) == [0]


async def test_every_producer_that_waits_for_room_notices_it() -> None:
    stream = BatchStream(1)
    await send(stream, batch(0))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(stream.room)
            await anyio.wait_all_tasks_blocked()
            await stream.receive()


@pytest.mark.parametrize("use_uvloop", [False, True])
@given(
    sizes=st.lists(st.integers(1, 50), max_size=60),
    limit=st.integers(1, 120),
    writers=st.integers(1, 5),
    producers=st.integers(1, 5),
    seed=st.integers(0, 2**32),
)
def test_every_batch_is_received_once_within_the_bound_whoever_is_cancelled(
    use_uvloop: bool, sizes: Sequence[int], limit: int, writers: int, producers: int, seed: int
) -> None:
    chance = random.Random(seed)
    received: list[list[int]] = [[] for _ in range(writers)]
    left = iter(enumerate(sizes))
    on_its_way = 0

    async def dawdle() -> None:
        for _ in range(chance.randrange(4)):
            await anyio.lowlevel.checkpoint()

    async def write(stream: BatchStream, mine: list[int]) -> None:
        nonlocal on_its_way
        ended = False
        while not ended:
            await dawdle()
            async with anyio.create_task_group() as tasks:

                async def cancel(scope: anyio.CancelScope) -> None:
                    await dawdle()
                    scope.cancel()

                if chance.random() < 0.5:
                    tasks.start_soon(cancel, tasks.cancel_scope)
                try:
                    got = await stream.receive()
                except EndOfStream:
                    ended = True
                else:
                    on_its_way -= got.nbytes
                    mine.append(got.chunk)
                tasks.cancel_scope.cancel()

    async def produce(stream: BatchStream) -> None:
        nonlocal on_its_way
        for number, nbytes in left:
            await dawdle()
            await send(stream, batch(number, nbytes))
            on_its_way += nbytes
            assert on_its_way < limit + sum(sorted(sizes)[-writers - producers :])

    async def run() -> None:
        stream = BatchStream(limit)
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for mine in received:
                    tasks.start_soon(write, stream, mine)
                async with anyio.create_task_group() as making:
                    for _ in range(producers):
                        making.start_soon(produce, stream)
                stream.end()

    anyio.run(run, backend_options={"use_uvloop": use_uvloop})
    assert sorted(number for mine in received for number in mine) == list(range(len(sizes)))
    assert producers > 1 or all(mine == sorted(mine) for mine in received)
    assert on_its_way == 0
