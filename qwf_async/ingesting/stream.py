"""A stream of batches, bounded in bytes: the producers wait while it is full."""

from __future__ import annotations

from asyncio import get_running_loop
from collections import deque
from threading import Lock

import anyio

from ..wire.batch import Batch


class BatchStream:
    """Hands batches from producers, in any threads, to several writers on the event loop.

    A producer begins no batch while the stream is full, so at most `limit` bytes and one batch a
    producer are buffered. What was put before `end` is still received; then `receive` raises
    `anyio.EndOfStream`. A writer that is cancelled while it waits takes nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._batches: deque[Batch] = deque()
        self._putting = Lock()  # the producers' own: the event loop only reads what they count
        self._put = 0  # bytes, counted by the producers
        self._taken = 0  # bytes, counted by the event loop alone
        self._ready = anyio.Semaphore(0, fast_acquire=True)
        self._freed = anyio.Event()
        self._loop = get_running_loop()

    @property
    def is_full(self) -> bool:
        return self._put - self._taken >= self._limit

    def put(self, batch: Batch) -> None:
        """Buffer a batch, at once. The only method that may be called from other threads than the event loop's."""
        with self._putting:
            self._put += batch.nbytes
        self._batches.append(batch)
        self._loop.call_soon_threadsafe(self._ready.release)

    async def room(self) -> None:
        """Wait until it is not full."""
        while self.is_full:
            if self._freed.is_set():
                self._freed = anyio.Event()
            await self._freed.wait()

    async def receive(self) -> Batch:
        await self._ready.acquire()
        if not self._batches:  # it has ended: wake the next writer, which ends too
            self._ready.release()
            raise anyio.EndOfStream
        batch = self._batches.popleft()
        self._taken += batch.nbytes
        self._freed.set()
        return batch

    def end(self) -> None:
        """No more will be put."""
        self._ready.release()
