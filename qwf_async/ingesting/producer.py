"""The producer: reads chunks of the source and encodes them, in a worker thread."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Event
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput, QwfError
from ..lattice.grid import AXIS_NAMES, Box
from ..lattice.plan import Plan
from ..layout import Layout
from ..optional import first_line
from ..source.base import Source, understood_of
from ..wire.batch import Batch
from ..wire.codec import stored
from ..wording import flag
from .stream import BatchStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Makes batches of chunks, by their numbers. To be called in one thread at a time."""

    source: Source
    plan: Plan
    layout: Layout
    codec: str
    allow_nonfinite: bool

    def batch(self, number: int) -> Batch:
        """The batch of the chunk of this number.

        Raises InvalidInput if the source cannot be read, gives another shape or dtype than
        it promised, or holds NaN or infinity (unless these are allowed).
        """
        chunk = self.plan[number]
        pieces = [np.ascontiguousarray(source_values(self.source, box)) for box in chunk.boxes]
        if chunk.flat:
            values = np.concatenate([piece.reshape(-1) for piece in pieces])
        else:
            (values,) = pieces
        weight = math.fsum(_weight(piece) for piece in pieces)
        if not math.isfinite(weight) and not self.allow_nonfinite:
            for box, piece in zip(chunk.boxes, pieces, strict=True):
                self._refuse_nonfinite(box, np.isfinite(piece))
            raise InvalidInput(f"the norm of {self.source.spec} is too large for a float64")
        return self.layout.encode(chunk, stored(self.codec, values), weight)

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


def source_values(source: Source, box: Box) -> NDArray[Any]:
    """ψ over the box, as the source gives it. Raises InvalidInput if the source fails or breaks its promise."""
    try:
        values = source.read(box)
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


def _weight(values: NDArray[Any]) -> float:
    """Σ|ψ|² of contiguous values, in double precision.

    `vdot` would let the threads of a BLAS spin on after each chunk, which took a core away
    from the server (layout tile: 8 million points/s instead of 29).
    """
    parts = values.astype(np.complex128, copy=False).reshape(-1).view(np.float64)
    return float(np.einsum("i,i->", parts, parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """Puts batches into a stream, in the order given. `max_rate` (points/s) bounds the mean rate."""

    encoder: Encoder
    max_rate: float | None = None

    async def run(self, numbers: Iterable[int], stream: BatchStream) -> None:
        """Put the batches of these chunks. If it is cancelled, a read under way is abandoned and its result dropped.

        The thread goes on while there is room. Where encoding is as quick as copying, waiting
        for the event loop after each chunk would cost a quarter of the rate.
        """
        left = iter(numbers)
        begun, points = anyio.current_time(), 0
        abandoned = Event()

        def run_ahead() -> bool:
            """Whether there may be more chunks."""
            nonlocal points
            for number in left:
                batch = self.encoder.batch(number)
                if abandoned.is_set():
                    return False
                points += batch.points
                stream.put(batch)
                if stream.is_full or self.max_rate is not None:
                    return True
            return False

        try:
            while await anyio.to_thread.run_sync(run_ahead, abandon_on_cancel=True):
                await stream.room()
                if self.max_rate is not None:
                    await anyio.sleep_until(begun + points / self.max_rate)
        finally:
            abandoned.set()
