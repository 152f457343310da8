"""`create`: a load that a running simulation fills, frame by frame in the order of time, on its own event loop.

It is a load as `begin` has it, which this process owns alone. A chunk is sent as soon as all of its
frames are there; where frames are small, several make one chunk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Self

import anyio
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..catalog.owner import Owner
from ..checked import checked
from ..errors import Interrupted, InvalidInput, QwfError, Refused, UsageError, first_error
from ..events import Hook, Progress
from ..ingesting.producer import Encoder
from ..ingesting.report import Report
from ..lattice.grid import Box, Grid, Order
from ..lattice.plan import Plan
from ..layout import Slab
from ..optional import first_line
from ..settings import Replicas
from ..source.base import identity
from ..source.elements import complex_type, unmasked
from ..store.store import Store
from ..wire.batch import Batch
from .begin import held_load
from .starting import Request
from .writer import Writer

NAMED: Final = 3
"""Runs of missing frames that a message names."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Frames:
    """A Source of the frames that are held, [x, y, z] by their numbers."""

    grid: Grid
    spec: str
    order: Order = "C"
    held: dict[int, NDArray[Any]] = field(default_factory=dict)

    def read(self, box: Box) -> NDArray[Any]:
        """A copy: what is encoded of it is sent after its owner may have changed the frame."""
        times, *place = box.slices
        return np.stack([self.held[number][tuple(place)] for number in range(times.start, times.stop)])

    def fingerprint(self) -> str:
        return identity(self.spec, grid=self.grid)

    def close(self) -> None:
        """There is nothing to close."""


@dataclass(slots=True, kw_only=True, eq=False)
class FrameWriter:
    """Takes the frames of a wavefunction in the order of time, within the block of `create`.

    `next_frame` is the number of the frame that is wanted next; after the last one it is their
    count. `way_on` says what is left of a load that is stopped. `report` is there when the block has ended.
    """

    name: str
    grid: Grid
    next_frame: int
    way_on: str
    report: Report | None = None
    _plan: Plan
    _missing: set[int]
    _frames: _Frames
    _chunk: int
    _hook: Hook
    _send: Callable[[int], Awaitable[None]] | None = None
    _bytes_sent: int = 0
    _points: int = 0
    _turn: anyio.Lock = field(default_factory=anyio.Lock)
    _over: bool = False

    @classmethod
    def of(
        cls, request: Request, grid: Grid, plan: Plan, missing: Sequence[int], spec: str, hook: Hook
    ) -> Self:
        first = min(missing, default=len(plan))
        return cls(
            name=request.name,
            grid=grid,
            next_frame=plan[first].boxes[0].start[0] if missing else grid.shape[0],
            way_on=request.what_is_left(removed=not request.can_resume),
            _plan=plan,
            _missing=set(missing),
            _frames=_Frames(grid=grid, spec=spec),
            _chunk=first,
            _hook=hook,
            _points=grid.points - sum(plan[number].points for number in missing),
        )

    async def write(self, frame: ArrayLike) -> None:
        """Take the frame `next_frame`: ψ[x, y, z], or without the axes that the grid lacks, complex or real.

        It returns when the frame may be changed again. It waits while the server is slower than
        the simulation: some chunks are on their way at most, and of small frames those of one more
        chunk are held. What is stored already, of a load that is resumed, is not sent again.

        Raises InvalidInput for a frame of another shape, without numbers, or with values that are
        not finite, and after the last one; UsageError after the block. While the server is away it
        waits as an ingest does. After an error of the server the block ends by that error: the body is cancelled.
        """
        async with self._turn:
            if self._over:
                raise UsageError(f"the block of {self.name} has ended: no more frames can be written")
            number = self.next_frame
            self._frames.held[number] = self._checked(frame)
            while self._chunk < len(self._plan):
                boxes = self._plan[self._chunk].boxes
                if boxes[-1].stop[0] > number + 1:
                    break
                if self._chunk in self._missing and self._send is not None:
                    await self._send(self._chunk)
                self._chunk += 1
            needed = (
                self._plan[self._chunk].boxes[0].start[0] if self._chunk < len(self._plan) else number + 1
            )
            held = self._frames.held
            for earlier in [earlier for earlier in held if earlier < needed]:
                del held[earlier]
            if number in held:
                held[number] = held[number].copy()
            self.next_frame = number + 1

    def missing_frames(self) -> list[int]:
        """The numbers of the frames of which a part is not known to be stored."""
        frames: set[int] = set()
        for number in self._missing:
            boxes = self._plan[number].boxes
            frames.update(range(boxes[0].start[0], boxes[-1].stop[0]))
        return sorted(frames)

    def stored(self, batch: Batch) -> None:
        """A chunk is stored and journalled."""
        self._missing.discard(batch.chunk)
        self._bytes_sent += batch.nbytes
        self._points += batch.points
        self._hook(Progress(points=self._points, total=self.grid.points, bytes_sent=self._bytes_sent))

    def _checked(self, frame: ArrayLike) -> NDArray[Any]:
        """The frame as [x, y, z], complex, not copied if it is that already."""
        what, shape = f"frame {self.next_frame} of {self.name}", self.grid.shape[1:]
        if self.next_frame == self.grid.shape[0]:
            raise InvalidInput(
                f"{self.name} has all of its {self.grid.shape[0]} frames: no more can be written"
            )
        try:
            values = unmasked(frame)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{what} is no array of numbers: {first_line(error)}") from error
        wanted = shape[: self.grid.dimensions]
        if values.shape not in (wanted, shape, (1, *shape)):
            raise InvalidInput(f"{what} has the shape {values.shape}, and those of its grid have {wanted}")
        return values.astype(complex_type(values.dtype, what), copy=False).reshape(shape)


@checked
@asynccontextmanager
async def create(
    store: Store,
    name: str,
    grid: Grid,
    *,
    layout: str = "flat",
    codec: str = "c16",
    tile: tuple[int, int, int] | None = None,
    slab: Slab | None = None,
    fingerprint: str | None = None,
    source: str = "a simulation",
    write_mode: str = "auto",
    replicas: Replicas | None = None,
    resume: bool = False,
    overwrite: bool = False,
    discard: bool = False,
    allow_nonfinite: bool = False,
    configure_server: bool = False,
    force: bool = False,
    hooks: Sequence[Hook] = (),
) -> AsyncIterator[FrameWriter]:
    """Store the frames that a running simulation pushes, and publish them, whole, at the end of the block.

        async with qwf.create(store, "run", grid, fingerprint="run 7", resume=True) as writer:
            while writer.next_frame < grid.shape[0]:
                await writer.write(frame_of(writer.next_frame))

    What is stored is what `ingest` stores of the same values. The name is held while the block
    runs, however long a frame takes. A block that ends before the last frame, or by an error,
    leaves the load so that it can be resumed, or removes it if it has no fingerprint, and says which
    frames are missing. There is no spool:
    while the server is away, `write` waits for the setting `deadline`.

    Parameters
    ----------
    grid: the points of all frames and their axes.
    fingerprint: a text that is the same if, and only if, the values are. With it and `resume` the
        load goes on at `next_frame`; if all is published already, no frame is wanted.
    source: what the values are, in words.
    The others: as for `ingest`.

    Raises as `ingest`, and Refused if frames are missing at the end of the block.
    """
    owner = Owner.here()
    request = Request.of(
        name,
        grid,
        layout=layout,
        codec=codec,
        tile=tile,
        slab=slab,
        blocks=None,
        order="C",
        fingerprint=fingerprint,
        source=source,
        write_mode=write_mode,
        replicas=replicas,
        resume=resume,
        discard=discard,
        overwrite=overwrite,
        allow_nonfinite=allow_nonfinite,
        configure_server=configure_server,
        force=force,
        owner=owner,
    )
    async with held_load(store, request, owner=owner, hooks=hooks) as load:
        ticket = load.ticket
        missing = [] if load.already else await load.missing_chunks()
        writer = FrameWriter.of(request, grid, load.plan, missing, source, load._hook)
        encoder = Encoder(
            source=writer._frames,
            plan=load.plan,
            layout=ticket.layout,
            codec=ticket.manifest.form.codec,
            allow_nonfinite=allow_nonfinite,
        )
        sending = nullcontext() if load.already else Writer.of(store, ticket).sending(encoder, writer.stored)
        try:
            async with sending as writer._send:
                yield writer
        except BaseException as error:
            named = _naming_frames(error, writer)
            if named is error:
                raise
            raise named from error
        finally:
            writer._over = True
        if frames := writer.missing_frames():
            raise Refused(f"{_missing(name, frames)}, so it is not published")
        writer.report = replace(await load.publish(), bytes_sent=writer._bytes_sent)


def _naming_frames(error: BaseException, writer: FrameWriter) -> BaseException:
    """The error, which also says which frames are missing."""
    cause, frames = first_error(error), writer.missing_frames()
    if not frames or not isinstance(cause, Exception) or isinstance(cause, Interrupted):
        return error
    words = _missing(writer.name, frames)
    if isinstance(cause, QwfError):
        return cause.with_more(f"; {words}")
    cause.add_note(words)
    return error


def _missing(name: str, frames: Sequence[int]) -> str:
    """Which frames are missing, in words."""
    runs = list(_runs(frames))
    shown = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in runs[:NAMED])
    more = " …" if len(runs) > NAMED else ""
    return f"{len(frames)} frames of {name} are missing: {shown}{more}"


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of consecutive numbers, which ascend."""
    breaks = [0, *(i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1), len(numbers)]
    return ((numbers[a], numbers[b - 1]) for a, b in pairwise(breaks))
