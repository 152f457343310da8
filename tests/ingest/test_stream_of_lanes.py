"""A stream with several lanes: each has its own batches, and one that is put off does not fill it for the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from anyio import EndOfStream

from qwf_async.ingesting.stream import BatchStream
from tests.conftest import PATIENCE
from tests.ingest.test_stream import batch

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def of_two_lanes(limit: int, uncounted: int, opened: list[int]) -> AsyncIterator[BatchStream]:
    """A stream whose lanes are even and odd chunks."""
    stream = BatchStream(limit, lane_of=lambda one: one.chunk % 2, opened=opened.append, uncounted=uncounted)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run)
        with anyio.fail_after(PATIENCE):
            yield stream
        tasks.cancel_scope.cancel()


async def put(stream: BatchStream, number: int, nbytes: int) -> None:
    """Put a batch, and wait until it has come to its lane."""
    await anyio.to_thread.run_sync(stream.put, batch(number, nbytes))
    await anyio.wait_all_tasks_blocked()


async def test_each_lane_is_opened_by_its_first_batch_and_gets_its_own_until_the_end() -> None:
    opened: list[int] = []
    async with of_two_lanes(1000, 1, opened) as stream:
        for number in (1, 3, 2, 5):
            await put(stream, number, 1)
        assert opened == [1, 0]
        stream.end()
        assert [(await stream.receive(1)).chunk for _ in range(3)] == [1, 3, 5]
        assert (await stream.receive(0)).chunk == 2
        for lane in (0, 1):
            with pytest.raises(EndOfStream):
                await stream.receive(lane)


async def test_what_is_put_just_before_the_end_opens_its_lane_too() -> None:
    opened: list[int] = []
    async with of_two_lanes(1000, 1, opened) as stream:
        await anyio.to_thread.run_sync(stream.put, batch(1))
        stream.end()
        assert opened == [1]
        assert (await stream.receive(1)).chunk == 1


async def test_what_is_under_way_counts_but_for_some_batches_until_it_is_done() -> None:
    async with of_two_lanes(100, 1, []) as stream:
        for number in range(3):
            await put(stream, number, 60)
        received = [await stream.receive(lane) for lane in (0, 1, 0)]
        assert stream.is_full  # 120 bytes besides one batch
        stream.done(received[0], 0)
        assert not stream.is_full


async def test_what_a_lane_that_is_put_off_holds_does_not_count_up_to_the_limit() -> None:
    async with of_two_lanes(100, 1, []) as stream:
        for number in (1, 3):
            await put(stream, number, 60)
        assert stream.is_full
        stream.put_off({1})
        assert not stream.is_full  # 20 bytes
        await put(stream, 2, 79)
        assert not stream.is_full
        await put(stream, 5, 60)  # read before the lane was put off
        assert stream.is_full
        stream.put_off(())
        await stream.receive(1)
        assert stream.is_full


async def test_a_lane_is_full_when_it_has_its_share() -> None:
    async with of_two_lanes(100, 1, []) as stream:
        for number in (1, 3):
            await put(stream, number, 20)
        assert not stream.is_lane_full(1)
        assert not stream.is_lane_full(0)
        await put(stream, 5, 20)
        assert not stream.is_lane_full(1)  # there is no other
        await put(stream, 2, 1)
        assert stream.is_lane_full(1)
        assert not stream.is_lane_full(0)
        taken = await stream.receive(1)
        assert stream.is_lane_full(1)
        stream.done(taken, 1)
        assert not stream.is_lane_full(1)


async def test_who_waits_for_a_change_notices_that_a_lane_is_put_off_or_done() -> None:
    async with of_two_lanes(100, 1, []) as stream:
        await put(stream, 1, 1)
        for change in (partial(stream.put_off, {1}), partial(stream.put_off, ()), stream.note_change):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stream.change, stream.changes)
                await anyio.wait_all_tasks_blocked()
                change()
