"""The synchronous face of an asynchronous object: its methods, run on a loop in the background.

`blocking` makes a method of an asynchronous one, with the same arguments, types and words. So no
signature is written twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from functools import partial, wraps
from typing import Any, Concatenate, Generic, NoReturn, ParamSpec, Protocol, TypeVar, TypeVarTuple

from ..errors import InvalidInput
from ..host.loop_thread import LoopThread
from ..wording import quoted

A = TypeVar("A")
F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")
Args = TypeVarTuple("Args")


class Runs(Protocol):
    """What runs asynchronous functions for those who wait: a loop, or a block there."""

    def run(self, function: Callable[[*Args], Awaitable[R]], *args: *Args) -> R: ...


class Face(Generic[A]):
    """What stands before an asynchronous object, and where that is used."""

    def __init__(self, behind: A, where: Runs) -> None:
        self._behind = behind
        self._where = where

    def __reduce__(self) -> NoReturn:
        """It has connections: neither pickle nor copy takes these along."""
        raise TypeError(
            f"a {type(self).__name__} cannot be copied or pickled: the other process opens its own store"
        )


class LoopFace(Face[A]):
    """What stands before an asynchronous object that belongs to a loop."""

    def __init__(self, behind: A, loop: LoopThread) -> None:
        super().__init__(behind, loop)
        self._loop = loop


def blocking(call: Callable[Concatenate[A, P], Awaitable[R]]) -> Callable[Concatenate[Face[A], P], R]:
    """A method that waits for an asynchronous one, or for a function whose first argument is the object."""

    @wraps(call)
    def method(self: Face[A], /, *args: P.args, **kwargs: P.kwargs) -> R:
        if not isinstance(
            self, Face
        ):  # as a method that is called as a function, qwf.plot, may be given anything
            what = "that is what a store of `qwf_async.open` has under a name"
            raise InvalidInput(f"{call.__name__} takes a Wavefunction, not {quoted(self)}: {what}")
        return self._where.run(partial(call, self._behind, *args, **kwargs))

    return signed(method, call, known={0})


def signed(method: F, call: Callable[..., Any], *, known: Collection[int]) -> F:
    """The method with the signature of what it calls, in which `self` stands for the parameters of `known` numbers."""
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)]
    for number, parameter in enumerate(inspect.signature(call).parameters.values()):
        if number not in known:
            parameters.append(parameter)
    method.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return method
