"""The producer: reads chunks of the source and encodes them, in worker threads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Event, Lock
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput, QwfError
from ..lattice.grid import AXIS_NAMES, Box
from ..lattice.plan import Plan
from ..layout import Layout
from ..optional import first_line
from ..source.base import Source, is_parallel, sample_of, understood_of
from ..wire.batch import Batch
from ..wire.codec import stored
from ..wording import flag
from .stream import BatchStream

PLANE_BYTES: Final = 65_536
"""Bytes of a plane along y and z from which on its own cost does not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Makes batches of chunks, by their numbers. `encoded` may be called in several threads at once.

    `read` may be too if the source allows it (`is_parallel`).
    """

    source: Source
    plan: Plan
    layout: Layout
    codec: str
    allow_nonfinite: bool

    def batch(self, number: int) -> Batch:
        """The batch of the chunk of this number. Raises what `read` and `encoded` raise."""
        return self.encoded(number, self.read(number))

    def read(self, number: int) -> list[NDArray[Any]]:
        """The values of the chunk of this number, box by box.

        Raises InvalidInput if the source cannot be read, or gives another shape or dtype than it promised.
        """
        return [source_values(self.source, box) for box in self.plan[number].boxes]

    def encoded(self, number: int, values: Sequence[NDArray[Any]]) -> Batch:
        """The batch of the chunk of this number from what `read` has returned.

        Raises InvalidInput if it holds NaN or infinity (unless these are allowed).
        """
        chunk = self.plan[number]
        pieces = [_in_planes(piece) for piece in values]
        if chunk.flat:
            joined = np.concatenate([piece.reshape(-1) for piece in pieces])
        else:
            (joined,) = pieces
        weight = total_weight(_weight(piece) for piece in pieces)
        if not math.isfinite(weight) and not self.allow_nonfinite:
            for box, piece in zip(chunk.boxes, pieces, strict=True):
                self._refuse_nonfinite(box, np.isfinite(piece))
            raise InvalidInput(f"the norm of {self.source.spec} is too large for a float64")
        return self.layout.encode(chunk, stored(self.codec, joined), weight)

    def _refuse_nonfinite(self, box: Box, finite: NDArray[np.bool]) -> None:
        """Raise InvalidInput for the first point of the box that is not finite."""
        if finite.all():
            return
        first = np.unravel_index(int(np.argmin(finite)), finite.shape)
        point = [int(i) + start for i, start in zip(first, box.start, strict=True)]
        where = ", ".join(f"{name} = {i}" for name, i in zip(AXIS_NAMES, point, strict=True))
        missing = understood_of(self.source).get("missing where")
        if missing is None:
            what, stored_as = "NaN or infinity", "it as it is"
        else:
            what, stored_as = f"NaN, infinity or what its file says is missing ({missing})", "NaN there"
        raise InvalidInput(
            f"{self.source.spec} holds {what}, first at {where}: {flag('allow_nonfinite')} stores {stored_as}"
        )


def source_values(source: Source, box: Box, *, sample: bool = False) -> NDArray[Any]:
    """ψ over the box, as the source gives it, or a sample of the like (`sample_of`).

    Raises InvalidInput if the source fails or breaks its promise.
    """
    try:
        values = sample_of(source, box) if sample else source.read(box)
    except QwfError:
        raise
    except (Exception, SystemExit) as error:  # the source may be the user's own: it may raise anything
        raise InvalidInput(
            f"{source.spec} cannot be read: {type(error).__name__}: {first_line(error)}"
        ) from error
    if values.shape != box.shape or values.dtype.kind != "c":
        raise InvalidInput(
            f"{source.spec} gave {values.dtype} of shape {values.shape} for a box "
            f"of shape {box.shape}: it must be complex, [t, x, y, z]"
        )
    return values


def _in_planes(values: NDArray[Any]) -> NDArray[Any]:
    """The values, or a contiguous copy unless they are in large contiguous planes: each byte is touched once less."""
    plane = values[0, 0]
    return (
        values if plane.flags.c_contiguous and plane.nbytes >= PLANE_BYTES else np.ascontiguousarray(values)
    )


def _weight(values: NDArray[Any]) -> float:
    """Σ|ψ|² of values in contiguous planes, in double precision.

    `vdot` would let the threads of a BLAS spin on after each chunk, which took a core away
    from the server (layout tile: 8 million points/s instead of 29).
    """
    pieces = [values] if values.flags.c_contiguous else chain.from_iterable(values)
    total = 0.0
    for piece in pieces:
        parts = piece.astype(np.complex128, copy=False).reshape(-1).view(np.float64)
        total += float(np.einsum("i,i->", parts, parts))
    return total


def total_weight(weights: Iterable[float]) -> float:
    """The sum of weights, rounded once; infinite if it is too large for a float64."""
    try:
        return math.fsum(weights)
    except OverflowError:
        return math.inf


MOST_PRODUCERS: Final = 4
"""Producers by default at most: each needs the interpreter for a part of its time, and more would wait for it."""


def usual_producers(cores: int, plan: Plan, stream_bytes: int) -> int:
    """How many producers there are if nobody says: one a core, but for one core for the event loop and the server.

    Each holds the values of a chunk and their encoding, so there are only as many as fit into
    `stream_bytes`. With the default of that, there is one for the large chunks of layout tile.
    """
    fit = stream_bytes // (2 * np.complex128().itemsize * plan.largest)
    return max(1, min(MOST_PRODUCERS, cores - 1, fit))


END: Final = -1
"""No chunk's number: there is none left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """Puts batches into a stream, made by `count` threads. `max_rate` (points/s) bounds the mean rate of all.

    If the source may be read by several threads at once, each makes whole batches. Otherwise they
    take turns in reading, in the order of the numbers, and encode at the same time.
    """

    encoder: Encoder
    count: int = 1
    max_rate: float | None = None

    async def run(
        self,
        numbers: Iterable[int | None],
        stream: BatchStream,
        stalled: Callable[[], object] = lambda: None,
    ) -> None:
        """Put the batches of these chunks. If it is cancelled, reads under way are abandoned and their results dropped.

        None among the numbers says that the next one is not known before something changes at the
        stream; `stalled` is called then.

        The threads go on while there is room. Where encoding is as quick as copying, waiting for
        the event loop after each chunk would cost a quarter of the rate. An error in one thread
        ends all, and is raised in an ExceptionGroup.
        """
        encoder, left, turn, abandoned = self.encoder, iter(numbers), Lock(), Event()
        in_parallel = is_parallel(encoder.source)
        # Not of the threads that all other jobs share.
        threads = anyio.CapacityLimiter(self.count)
        due = time.monotonic()

        def run_ahead() -> tuple[float, int] | None:
            """Make batches while there is room and a chunk is known. None at the end.

            Else when to go on, in seconds of the monotonic clock, and after which count of changes.
            """
            nonlocal due
            while True:
                with turn:
                    if abandoned.is_set():
                        return None
                    if stream.is_full or due > time.monotonic():
                        return due, -1
                    changes = stream.changes
                    number = next(left, END)
                    if number is None:
                        return due, changes
                    if number == END:
                        return None
                    if self.max_rate is not None:
                        due += encoder.plan[number].points / self.max_rate
                    values = None if in_parallel else encoder.read(number)
                batch = encoder.encoded(number, encoder.read(number) if values is None else values)
                if abandoned.is_set():
                    return None
                stream.put(batch)

        async def produce() -> None:
            while True:
                go_on = await anyio.to_thread.run_sync(run_ahead, abandon_on_cancel=True, limiter=threads)
                if go_on is None:
                    return
                moment, changes = go_on
                if changes == stream.changes:
                    stalled()
                    await stream.change(changes)
                await stream.room()
                await anyio.sleep(max(0.0, moment - time.monotonic()))

        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(self.count):
                    tasks.start_soon(produce)
        finally:
            abandoned.set()
