"""A stream of batches, bounded in bytes: the producers wait while it is full."""

from __future__ import annotations

import math
from asyncio import get_running_loop
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from threading import Lock

import anyio

from ..wire.batch import Batch


@dataclass(slots=True)
class _Queue:
    """The batches of one lane, in order, and how much of the lane is in the stream or under way."""

    batches: deque[Batch] = field(default_factory=deque)
    ready: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(0, fast_acquire=True))
    count: int = 0
    nbytes: int = 0


class BatchStream:
    """Hands batches from producers, in any threads, to the writers of several lanes on the event loop.

    A producer begins no batch while the stream is full, so at most `limit` bytes and one batch a
    producer are buffered. What was put before `end` is still received; then `receive` raises
    `anyio.EndOfStream`. A writer that is cancelled while it waits takes nothing.

    Without `lane_of` there is one lane, 0. Else that says which lane a batch is of when it arrives,
    `run` is to run beside the writers, and calls `opened` when the first of a lane arrives. There
    may be many lanes. So what was received counts as well, until it is `done`,
    but for `uncounted` batches. What lanes that are put off hold does not count, up to `limit`
    bytes: it does not hold the others up.
    """

    def __init__(
        self,
        limit: int,
        *,
        lane_of: Callable[[Batch], int] | None = None,
        opened: Callable[[int], object] = lambda lane: None,
        uncounted: float = math.inf,
    ) -> None:
        self._limit = limit
        self._lane_of = lane_of or (lambda batch: 0)
        self._opened = opened
        self._uncounted = uncounted
        self._arrived: deque[Batch] = deque()
        self._queues: dict[int, _Queue] = {} if lane_of else {0: _Queue()}
        self._strange: deque[tuple[int, Batch]] = deque()  # of lanes that are not open yet
        self._stranger = anyio.Event()
        self._ended = False
        self._putting = Lock()  # the producers' own: the event loop only reads what they count
        self._put = 0  # bytes, counted by the producers
        self._taken = 0  # bytes, as all that follow counted by the event loop alone
        self._done = 0
        self._largest = 0
        self._put_off: Collection[int] = ()
        self._excused = 0
        self.changes = 0  # how often anything changed that a producer may wait for
        self._changed = anyio.Event()
        self._loop = get_running_loop()

    @property
    def is_full(self) -> bool:
        under_way = self._taken - self._done
        counted = under_way - self._uncounted * self._largest if under_way else 0
        excused = min(self._excused, self._limit)
        return self._put - self._taken + max(0, counted) - excused >= self._limit

    def is_lane_full(self, lane: int) -> bool:
        """Whether a lane has its share: three batches, and its part of half the limit."""
        queue = self._queues.get(lane)
        if queue is None or len(self._queues) == 1:
            return False
        return queue.count >= 3 and queue.nbytes * 2 * len(self._queues) >= self._limit

    def put(self, batch: Batch) -> None:
        """Buffer a batch, at once. The only method that may be called from other threads than the event loop's."""
        with self._putting:
            self._put += batch.nbytes
        self._arrived.append(batch)
        self._loop.call_soon_threadsafe(self._sort)

    async def room(self) -> None:
        """Wait until it is not full."""
        while self.is_full:
            await self.change(self.changes)

    async def change(self, seen: int) -> None:
        """Wait until `changes` is not `seen` any more."""
        while self.changes == seen:
            if self._changed.is_set():
                self._changed = anyio.Event()
            await self._changed.wait()

    async def receive(self, lane: int = 0) -> Batch:
        """The next batch of a lane."""
        queue = self._queues[lane]
        await queue.ready.acquire()
        if not queue.batches:  # it has ended: wake the next writer, which ends too
            queue.ready.release()
            raise anyio.EndOfStream
        batch = queue.batches.popleft()
        self._taken += batch.nbytes
        self.note_change()
        return batch

    def done(self, batch: Batch, lane: int) -> None:
        """A batch that was received from this lane is delivered."""
        self._done += batch.nbytes
        self._hold(lane, -1, -batch.nbytes)
        self.note_change()

    def put_off(self, lanes: Collection[int]) -> None:
        """From now on these lanes are put off, and no others."""
        self._put_off = lanes
        self._excused = sum(queue.nbytes for lane, queue in self._queues.items() if lane in lanes)
        self.note_change()

    def note_change(self) -> None:
        """Wake the producers that wait for room or for a change."""
        self.changes += 1
        self._changed.set()

    async def run(self) -> None:
        """Open lanes, until cancelled."""
        while True:
            await self._stranger.wait()
            self._stranger = anyio.Event()
            self._open()

    def end(self) -> None:
        """No more will be put."""
        if not self._ended:
            self._sort()
            self._open()
            self._ended = True
            for queue in self._queues.values():
                queue.ready.release()

    def abandon(self) -> None:
        """Nobody receives any more: what arrives from now on is dropped."""
        self._ended = True

    def _sort(self) -> None:
        """Bring what has arrived to its lanes. This runs outside of tasks, where no lane can be opened."""
        while self._arrived and not self._ended:
            batch = self._arrived.popleft()
            lane = self._lane_of(batch)
            if lane in self._queues:
                self._enqueue(lane, batch)
            else:
                self._strange.append((lane, batch))
                self._stranger.set()

    def _open(self) -> None:
        """Open the lanes of strange batches."""
        while self._strange:
            lane, batch = self._strange.popleft()
            if lane not in self._queues:
                self._queues[lane] = _Queue()
                self._opened(lane)
            self._enqueue(lane, batch)

    def _enqueue(self, lane: int, batch: Batch) -> None:
        queue = self._queues[lane]
        queue.batches.append(batch)
        self._largest = max(self._largest, batch.nbytes)
        self._hold(lane, 1, batch.nbytes)
        queue.ready.release()

    def _hold(self, lane: int, count: int, nbytes: int) -> None:
        queue = self._queues[lane]
        queue.count += count
        queue.nbytes += nbytes
        if lane in self._put_off:
            self._excused += nbytes
