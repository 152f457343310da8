"""The producer: reads chunks of the source and encodes them, in a worker thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..codec import stored
from ..errors import InvalidInput, QwfError
from ..grid import AXIS_NAMES, BoxPlan, Chunk
from ..layout import Layout
from ..source.base import Source
from ..source.foreign import first_line
from ..wire.batch import Batch
from .stream import BatchStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Turns numbers of chunks into batches. Called in one thread at a time."""

    source: Source
    plan: BoxPlan
    layout: Layout
    codec: str
    allow_nonfinite: bool

    def batch(self, number: int) -> Batch:
        """The batch of a chunk.

        Raises InvalidInput if the source cannot be read, gives another shape or dtype than
        it promised, or holds NaN or infinity (unless these are allowed).
        """
        chunk = self.plan[number]
        values = self._read(chunk)
        if values.shape != chunk.box.shape or values.dtype.kind != "c":
            raise InvalidInput(
                f"{self.source.spec} gave {values.dtype} of shape {values.shape} for a chunk "
                f"of shape {chunk.box.shape}: it must be complex, [t, x, y, z]"
            )
        flat = values.reshape(-1).astype(np.complex128, copy=False)
        weight = float(np.vdot(flat, flat).real)
        if not np.isfinite(weight) and not self.allow_nonfinite:
            self._refuse_nonfinite(chunk, np.isfinite(values))
        return self.layout.encode(chunk, stored(self.codec, values), weight)

    def _read(self, chunk: Chunk) -> NDArray[Any]:
        try:
            return self.source.read(chunk.box)
        except QwfError:
            raise
        except Exception as error:  # noqa: BLE001 # the source may be the user's own: it may raise anything
            raise InvalidInput(
                f"{self.source.spec} cannot be read: {type(error).__name__}: {first_line(error)}"
            ) from error

    def _refuse_nonfinite(self, chunk: Chunk, finite: NDArray[np.bool]) -> None:
        if finite.all():
            raise InvalidInput(f"the norm of {self.source.spec} is too large for a float64")
        first = np.unravel_index(int(np.argmin(finite)), finite.shape)
        point = [int(i) + start for i, start in zip(first, chunk.box.start, strict=True)]
        where = ", ".join(f"{name} = {i}" for name, i in zip(AXIS_NAMES, point, strict=True))
        raise InvalidInput(
            f"{self.source.spec} holds NaN or infinity, first at {where}: --allow-nonfinite stores it as it is"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer:
    """Feeds the stream in the order given; `max_rate` (points/s) bounds its mean rate."""

    encoder: Encoder
    max_rate: float | None = None

    async def run(self, numbers: Iterable[int], stream: BatchStream) -> None:
        """Send the batches of these chunks. Cancelled: a read under way is abandoned, its result dropped."""
        begun = anyio.current_time()
        points = 0
        for number in numbers:
            batch = await anyio.to_thread.run_sync(self.encoder.batch, number, abandon_on_cancel=True)
            if self.max_rate is not None:
                await anyio.sleep(begun + points / self.max_rate - anyio.current_time())
            points += batch.points
            await stream.send(batch)
