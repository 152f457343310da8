"""`store.copy` and `store.move`: to a name of the same store, or of another one, which may be on another server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from ..store.connecting import connect
from ..store.store import Store
from .face import LoopFace, signed

P = ParamSpec("P")
R = TypeVar("R")


def between_stores(
    call: Callable[Concatenate[Store, str, Store, P], Awaitable[R]],
) -> Callable[Concatenate[LoopFace[Store], str, LoopFace[Store], P], R]:
    """A method that waits for what goes from a name of its store to another store.

    Connections belong to one loop, so the other store is connected to anew on the loop of this one.
    """

    @wraps(call)
    def method(
        self: LoopFace[Store], name: str, to: LoopFace[Store], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        async def run() -> R:
            if to is self:
                return await call(self._behind, name, self._behind, *args, **kwargs)
            async with connect(settings=to._behind.settings) as target:
                return await call(self._behind, name, target, *args, **kwargs)

        return self._loop.run(run)

    return signed(method, call, known={0})
