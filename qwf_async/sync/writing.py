"""`store.create`: frames that a running simulation pushes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec

from ..ingesting.report import Report
from ..lattice.grid import Grid
from ..producing import create as asynchronous
from ..store.store import Store
from .face import Face, LoopFace, blocking, signed

P = ParamSpec("P")


class FrameWriter(Face[asynchronous.FrameWriter]):
    """Takes the frames of a wavefunction in the order of time, within the block of `store.create`."""

    @property
    def name(self) -> str:
        return self._behind.name

    @property
    def grid(self) -> Grid:
        return self._behind.grid

    @property
    def next_frame(self) -> int:
        """The number of the frame that is wanted next; after the last one it is their count."""
        return self._behind.next_frame

    @property
    def report(self) -> Report | None:
        """There when the block has ended."""
        return self._behind.report

    write = blocking(asynchronous.FrameWriter.write)


def entering(
    create: Callable[Concatenate[Store, P], AbstractAsyncContextManager[asynchronous.FrameWriter]],
) -> Callable[Concatenate[LoopFace[Store], P], AbstractContextManager[FrameWriter]]:
    """The method of a synchronous store that creates a load, for a `with` block."""

    @wraps(create)
    @contextmanager
    def method(self: LoopFace[Store], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[FrameWriter]:
        with self._loop.entered(create(self._behind, *args, **kwargs)) as entered:
            writer = entered.value
            try:
                yield FrameWriter(writer, entered)
            except KeyboardInterrupt as stop:
                stop.add_note(f"{writer.name} is not published; {writer.way_on}")
                raise

    return signed(method, create, known={0})
