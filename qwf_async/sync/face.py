"""The synchronous face of an asynchronous object: its methods, run on a loop in the background, one by one.

`blocking` makes a method of an asynchronous one, with the same arguments, types and words. So no
signature is written twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Concatenate, Generic, ParamSpec, TypeVar

from ..host.loop_thread import LoopThread

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


class Face(Generic[A]):
    """What stands before an asynchronous object, and the loop on which that is used."""

    def __init__(self, behind: A, loop: LoopThread) -> None:
        self._behind = behind
        self._loop = loop


def blocking(
    call: Callable[Concatenate[A, P], Awaitable[R]], *, doc: str | None = None
) -> Callable[Concatenate[Face[A], P], R]:
    """A method that runs an asynchronous one, or a function whose first argument is the object, and waits for it.

    Its docstring is that of the function, unless `doc` is given.
    """

    @wraps(call)
    def method(self: Face[A], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._loop.run(partial(call, self._behind, *args, **kwargs))

    signature = inspect.signature(call)
    first, *others = signature.parameters.values()
    method.__signature__ = signature.replace(parameters=[first.replace(name="self"), *others])  # type: ignore[attr-defined]
    method.__doc__ = doc or call.__doc__
    return method
