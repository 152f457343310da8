"""Reading from replicas: what they cannot give comes from their primaries."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from ..client.pool import Pool
from ..errors import DamagedData, ServerUnavailable

P = ParamSpec("P")
T = TypeVar("T")


def replicas_first(
    read: Callable[Concatenate[Pool, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Pool, P], Coroutine[Any, Any, T]]:
    """A reading function which, where the pool is for replicas, turns to the primaries if a replica cannot serve it.

    A replica may not have yet what its primary has: then a value seems to be missing.
    """

    async def reading(pool: Pool, /, *args: P.args, **options: P.kwargs) -> T:
        if pool.primaries is not None:
            with suppress(DamagedData, ServerUnavailable):
                return await read(pool, *args, **options)
            pool = pool.primaries
        return await read(pool, *args, **options)

    return reading if TYPE_CHECKING else wraps(read)(reading)
