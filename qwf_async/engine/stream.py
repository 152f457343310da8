"""A stream of batches, bounded in bytes: the producer waits while too much is on its way."""

from __future__ import annotations

from collections import deque

import anyio

from ..wire.batch import Batch


class BatchStream:
    """Hands batches from one producer to several writers.

    `send` waits while `limit` bytes or more are buffered, so at most `limit` bytes and one
    batch are. What was sent before `end` is still received; receiving then raises
    `anyio.EndOfStream`. A writer that is cancelled while it waits takes nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._batches: deque[Batch] = deque()
        self._buffered = 0
        self._ended = False
        self._changed = anyio.Condition()

    async def send(self, batch: Batch) -> None:
        async with self._changed:
            while self._buffered >= self._limit:
                await self._changed.wait()
            self._batches.append(batch)
            self._buffered += batch.nbytes
            self._changed.notify_all()

    async def receive(self) -> Batch:
        async with self._changed:
            while not self._batches:
                if self._ended:
                    raise anyio.EndOfStream
                await self._changed.wait()
            batch = self._batches.popleft()
            self._buffered -= batch.nbytes
            self._changed.notify_all()
            return batch

    async def end(self) -> None:
        """No more will be sent."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()
