"""A stream of batches, bounded in bytes: the producer waits while it is full."""

from __future__ import annotations

from asyncio import get_running_loop
from collections import deque

import anyio

from ..wire.batch import Batch


class BatchStream:
    """Hands batches from one producer, in any thread, to several writers on the event loop.

    The producer puts no batch while the stream is full, so at most `limit` bytes and one batch
    are buffered. What was put before `end` is still received; then `receive` raises
    `anyio.EndOfStream`. A writer that is cancelled while it waits takes nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._batches: deque[Batch] = deque()
        self._put = 0  # bytes, counted by the producer alone
        self._taken = 0  # bytes, counted by the event loop alone
        self._ready = anyio.Semaphore(0, fast_acquire=True)
        self._freed = anyio.Event()
        self._loop = get_running_loop()

    @property
    def is_full(self) -> bool:
        return self._put - self._taken >= self._limit

    def put(self, batch: Batch) -> None:
        """Buffer a batch, at once. The only method that may be called from another thread than the event loop's."""
        self._put += batch.nbytes
        self._batches.append(batch)
        self._loop.call_soon_threadsafe(self._ready.release)

    async def room(self) -> None:
        """Wait until it is not full."""
        while self.is_full:
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
