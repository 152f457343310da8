"""One job for each of many items, several at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from ..errors import QwfError

T = TypeVar("T")


async def in_parallel(job: Callable[[T], Awaitable[None]], items: Iterable[T], tasks: int) -> None:
    """Do a job for each item, up to `tasks` at a time. The first QwfError stops them all, and is raised."""
    waiting = iter(items)
    failed: list[QwfError] = []

    async def work() -> None:
        for item in waiting:  # shared by the tasks: each takes the next one
            try:
                await job(item)
            except QwfError as error:
                failed.append(error)
                group.cancel_scope.cancel()
                return

    async with anyio.create_task_group() as group:
        for _ in range(tasks):
            group.start_soon(work)
    if failed:
        raise failed[0]
