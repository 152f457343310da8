"""Several producers: what they may do at once, what they take in turn, and that one failure ends all."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.errors import InvalidInput
from qwf_async.ingesting.producer import Encoder, Producer, usual_producers
from qwf_async.ingesting.stream import BatchStream
from qwf_async.lattice.grid import Box
from qwf_async.lattice.plan import BoxPlan, Chunk
from qwf_async.layout import Form, Layout
from qwf_async.source import Source
from qwf_async.wire.batch import Batch
from tests.conftest import PATIENCE, Server
from tests.support.loads import Watched, check_alone, check_points, contents, ingested, refusal, wave

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

PSI = wave(12, 10, 10, 10)
CHUNKS = len(PSI)


def watched(before: Callable[[Box], None], *, parallel: bool) -> Watched:
    """ψ, with something to be done before each read; whether it may be read by several threads at once."""
    return Watched(source=sources.array(PSI), before=before, parallel=parallel)


def nothing(box: Box) -> None:
    """Do nothing before a read."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Layout flat, of which every `encode` waits until all threads are in one."""

    layout: Layout
    barrier: threading.Barrier

    def encode(self, chunk: Chunk, values: NDArray[Any], weight: float) -> Batch:
        self.barrier.wait(PATIENCE)
        return self.layout.encode(chunk, values, weight)


def encoder(source: Source, meeting: threading.Barrier | None = None) -> Encoder:
    form = Form.of(layout="flat", codec="c16", shape=source.grid.shape)
    layout: Any = form.open(b"qwf:psi:{0123456789abcdef.")
    if meeting is not None:
        layout = Meeting(layout, meeting)
    return Encoder(
        source=source,
        plan=form.plan,
        layout=layout,
        codec="c16",
        allow_nonfinite=False,
    )


@dataclass(frozen=True, slots=True)
class Received:
    """What `writers` receivers got of a stream."""

    stream: BatchStream
    batches: list[Batch] = field(default_factory=list)

    async def receive(self) -> None:
        try:
            while True:
                self.batches.append(await self.stream.receive())
        except anyio.EndOfStream:
            return


async def produced(producer: Producer, *, writers: int = 8) -> list[Batch]:
    """All batches of ψ, by the numbers of their chunks."""
    received = Received(BatchStream(2**20))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(writers):
                tasks.start_soon(received.receive)
            await anyio.wait_all_tasks_blocked()
            await producer.run(range(CHUNKS), received.stream)
            received.stream.end()
    return sorted(received.batches, key=lambda batch: batch.chunk)


@pytest.mark.parametrize(("cores", "producers"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (64, 4)])
def test_by_default_they_are_as_many_as_cores_and_memory_allow(cores: int, producers: int) -> None:
    plan = BoxPlan(shape=(1, 64, 64, 64), chunk=(1, 4, 64, 64))  # 256 KiB of values, and as much encoded
    assert usual_producers(cores, plan, 8 * 2**20) == producers
    assert usual_producers(cores, plan, 2**20) == min(2, producers)
    assert usual_producers(cores, plan, 64 * 1024) == 1


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("layout", ["flat", "packed", "tile"])
async def test_every_chunk_is_sent_once_and_right(server: Server, layout: str, parallel: bool) -> None:
    async with qwf_async.connect(server.url) as store:
        one = await qwf_async.ingest(sources.array(PSI), store, "one", layout=layout, producers=1)
        source = watched(nothing, parallel=parallel)
        several = await qwf_async.ingest(source, store, "psi", layout=layout, producers=4, verify=True)
        psi = await store.open("psi")
        np.testing.assert_array_equal(await psi.read[...], PSI)
    assert several.bytes_sent == one.bytes_sent
    assert several.norm == one.norm
    assert several.points == PSI.size


async def test_every_point_is_stored_bit_for_bit(each_server: Server) -> None:
    await ingested(each_server, sources.array(PSI), producers=4)
    check_points(each_server, PSI)
    check_alone(each_server)


async def test_a_source_that_allows_it_is_read_by_all_of_them_at_once() -> None:
    together = threading.Barrier(4)

    def meet(box: Box) -> None:
        together.wait(PATIENCE)

    source = watched(meet, parallel=True)
    batches = await produced(Producer(encoder=encoder(source), count=4))
    assert [batch.chunk for batch in batches] == list(range(CHUNKS))


async def test_any_other_source_is_read_in_turn_and_in_order_and_encoded_at_once() -> None:
    turn, boxes = threading.Lock(), []

    def note(box: Box) -> None:
        assert turn.acquire(blocking=False)
        boxes.append(box.start[0])
        time.sleep(0)  # another thread may run
        turn.release()

    encoding = encoder(watched(note, parallel=False), threading.Barrier(4))
    batches = await produced(Producer(encoder=encoding, count=4))
    assert [batch.chunk for batch in batches] == boxes == list(range(CHUNKS))


async def test_batches_are_those_of_one_producer() -> None:
    one = await produced(Producer(encoder=encoder(sources.array(PSI))))
    four = await produced(Producer(encoder=encoder(sources.array(PSI)), count=4))

    def content(batch: Batch) -> tuple[Any, ...]:
        data = b"".join(bytes(buffer) for part in batch.parts for buffer in part.buffers)
        return batch.chunk, batch.points, batch.digest, batch.weight, data

    assert list(map(content, four)) == list(map(content, one))


@pytest.mark.parametrize("parallel", [False, True])
async def test_an_error_in_one_thread_ends_all_though_others_are_in_a_read(
    server: Server, parallel: bool
) -> None:
    ended, reading = threading.Event(), threading.Barrier(3 if parallel else 1)
    reads: Counter[int] = Counter()

    def fail_or_wait(box: Box) -> None:
        number = box.start[0]
        reads[number] += 1
        if number in (4, 5, 6):
            reading.wait(PATIENCE)
            if number == 4:
                raise ZeroDivisionError("by nothing")
            assert ended.wait(PATIENCE)

    try:
        error = await refusal(watched(fail_or_wait, parallel=parallel), server, producers=3)
    finally:
        ended.set()
    assert isinstance(error, InvalidInput)
    assert "ZeroDivisionError: by nothing" in str(error)
    assert contents(server) == {}
    assert max(reads.values()) == 1


async def test_producers_in_long_reads_take_no_thread_from_other_jobs() -> None:
    count = 10 + int(anyio.to_thread.current_default_thread_limiter().total_tokens)
    reading, go_on = threading.Barrier(count + 1), threading.Event()

    def wait(box: Box) -> None:
        reading.wait(PATIENCE)
        assert go_on.wait(PATIENCE)

    psi = wave(count, 10, 10, 10)
    source = Watched(source=sources.array(psi), before=wait, parallel=True)
    received = Received(BatchStream(2**20))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(received.receive)
            await anyio.wait_all_tasks_blocked()

            async def produce() -> None:
                await Producer(encoder=encoder(source), count=count).run(range(count), received.stream)
                received.stream.end()

            tasks.start_soon(produce)
            await anyio.to_thread.run_sync(reading.wait, PATIENCE)  # here is the thread
            go_on.set()
    assert sorted(batch.chunk for batch in received.batches) == list(range(count))


async def test_the_rate_is_that_of_all_together() -> None:
    rate, begun = 40_000.0, time.monotonic()
    times: list[float] = []
    source = watched(lambda box: times.append(time.monotonic() - begun), parallel=True)
    await produced(Producer(encoder=encoder(source), count=4, max_rate=rate))
    chunk = PSI.size / CHUNKS
    assert len(times) == CHUNKS
    assert all(at >= number * chunk / rate for number, at in enumerate(sorted(times)))


async def test_what_several_have_begun_and_left_is_resumed_whole(server: Server) -> None:
    class Stop(Exception):
        pass

    reads: Counter[int] = Counter()

    def stop(event: qwf_async.events.Event) -> None:
        if isinstance(event, qwf_async.events.Progress) and event.points >= 3000:
            raise Stop

    source = watched(lambda box: reads.update([box.start[0]]), parallel=True)
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(Stop):
            await qwf_async.ingest(source, store, "psi", producers=4, max_rate=20_000, hooks=(stop,))
        read_before = len(reads)
        report = await qwf_async.ingest(source, store, "psi", producers=4, resume=True)
    assert 3 <= report.resumed_chunks <= read_before < CHUNKS
    check_points(server, PSI)
    check_alone(server)
