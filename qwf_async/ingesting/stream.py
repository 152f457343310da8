"""A stream of batches, bounded in bytes: the producers wait while it is full."""

from __future__ import annotations

from asyncio import get_running_loop
from collections import deque
from threading import Lock

import anyio

from ..wire.batch import Batch


class BatchStream:
    """Hands batches from producers, in any threads, to several writers on the event loop.

    A producer claims room before it makes a batch, and the claim counts until the batch is put: as
    many bytes as the largest batch so far, or `limit` before there was one. Each writer that waits
    makes room for one batch more. So at most `limit` bytes and one batch are made or wait, besides
    one for each idle writer, however many producers there are.

    What was put before `end` is still received; then `receive` raises `anyio.EndOfStream`. A writer
    that is cancelled while it waits takes nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._batches: deque[Batch] = deque()
        self._claiming = Lock()  # the producers' own: the event loop only reads what they count
        self._claimed = 0  # batches, counted by the producers
        self._put = 0  # bytes, counted by the producers
        self._largest = 0  # bytes, measured by the producers
        self._taken = 0  # bytes, counted by the event loop alone
        self._idle = 0  # writers, counted by the event loop alone
        self._ready = anyio.Semaphore(0, fast_acquire=True)
        self._freed = anyio.Event()
        self._loop = get_running_loop()

    @property
    def is_full(self) -> bool:
        making = (self._claimed - self._idle) * (self._largest or self._limit)
        return making + self._put - self._taken >= self._limit

    def claim(self) -> bool:
        """Keep room for a batch that is to be put, unless it is full. Whether there is room. For any thread."""
        with self._claiming:
            if self.is_full:
                return False
            self._claimed += 1
            return True

    def give_back(self) -> None:
        """Give up a claim: there is no batch to be made. For any thread."""
        with self._claiming:
            self._claimed -= 1
        self._loop.call_soon_threadsafe(self._wake_producers)

    def put(self, batch: Batch) -> None:
        """Buffer the batch of a claim, at once. For any thread."""
        nbytes = batch.nbytes
        with self._claiming:
            self._claimed -= 1
            self._put += nbytes
            self._largest = max(self._largest, nbytes)
            self._batches.append(batch)
        self._loop.call_soon_threadsafe(self._ready.release)

    async def room(self) -> None:
        """Wait until it is not full."""
        while self.is_full:
            if self._freed.is_set():
                self._freed = anyio.Event()
            await self._freed.wait()

    async def receive(self) -> Batch:
        self._idle += 1
        self._wake_producers()
        try:
            await self._ready.acquire()
        finally:
            self._idle -= 1
        if not self._batches:  # it has ended: wake the next writer, which ends too
            self._ready.release()
            raise anyio.EndOfStream
        batch = self._batches.popleft()
        self._taken += batch.nbytes
        self._wake_producers()
        return batch

    def end(self) -> None:
        """No more will be put."""
        self._ready.release()

    def _wake_producers(self) -> None:
        self._freed.set()
