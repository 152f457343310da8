"""`Target`: what code that is not asynchronous assigns blocks of ψ to, in any process that has a ticket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..ingesting.producer import Encoder
from ..lattice.blocks import whole_chunks
from ..lattice.grid import Box, Grid, Order, Shape4, shape4
from ..lattice.selection import Selection
from ..source.base import identity
from ..source.elements import complex_type, unmasked
from .background import background
from .ticket import Ticket
from .writer import write_chunks


@dataclass(frozen=True, slots=True)
class Target:
    """Where parts of a load are written: `Target(ticket)[region] = block`.

    `region` is what NumPy's basic indexing takes, over [t, x, y, z], or over the dimensions that
    the block has if the others of the grid have one point: [x], [x, y] or [x, y, z]. `block` has
    complex or real values, or is one number for all points. The region is of whole chunks of the
    load's plan.

    The assignment returns when all of the block is stored, and may be repeated: it has the same
    effect. It can be made in any thread of any process, several at once. Each process has one
    event loop in the background and its own connections, which last until it ends.

    Raises
    ------
    UsageError: the region is not of whole chunks. The message says which divide the grid.
    InvalidInput: the block has another shape, no numbers, or values that are not finite.
    ServerUnavailable, OutOfMemory: the server is away for longer than the setting `deadline`, or
        without memory for longer than `gate_timeout`. It may be tried again.
    Refused: the load was discarded, published or taken over, or the server refuses.
    DataLost: the server lost the load.
    """

    ticket: Ticket

    @property
    def shape(self) -> Shape4:
        """Points along t, x, y, z."""
        return self.ticket.manifest.grid.shape

    def __setitem__(self, region: Any, block: Any) -> None:
        ticket, manifest = self.ticket, self.ticket.manifest
        source = Block.of(manifest.grid, region, block)
        encoder = Encoder(
            source=source,
            plan=manifest.plan,
            layout=ticket.layout,
            codec=manifest.form.codec,
            allow_nonfinite=ticket.allow_nonfinite,
        )
        background().run(write_chunks, ticket, encoder, whole_chunks(manifest.plan, source.box))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """A Source of the points of one box: `values` [t, x, y, z] is ψ there."""

    grid: Grid
    box: Box
    values: NDArray[Any]
    order: Order = "C"
    spec: str = "the block"
    parallel: bool = True

    @classmethod
    def of(cls, grid: Grid, region: Any, block: Any) -> Block:
        """The block that is assigned to a region. Raises InvalidInput if it has another shape, or no numbers."""
        values = unmasked(block)
        dimensions = values.ndim or (len(region) if isinstance(region, tuple) else 4 if region is ... else 1)
        selection = Selection.of(grid.shape, _region(grid.shape, region, dimensions))
        if not values.ndim:
            values = np.broadcast_to(values, selection.full_shape)
        if any(len(along) > 1 and along.step != 1 for along in selection.axes):
            raise InvalidInput("a region is of neighbouring points: it has no steps")
        if any(not along for along in selection.axes):
            raise InvalidInput(f"the region {region!r} is empty")
        if [n for n in values.shape if n > 1] != [n for n in selection.full_shape if n > 1]:
            raise InvalidInput(
                f"a block of shape {values.shape} does not fit the region, whose shape is {selection.full_shape}"
            )
        box = Box(
            start=shape4(along[0] for along in selection.axes),
            stop=shape4(along[-1] + 1 for along in selection.axes),
        )
        values = values.astype(complex_type(values.dtype, "the block"), copy=False)
        return cls(grid=grid, box=box, values=values.reshape(box.shape))

    def read(self, box: Box) -> NDArray[Any]:
        return self.values[box.within(self.box)]

    def fingerprint(self) -> str:
        return identity(self.spec, grid=self.grid)

    def close(self) -> None:
        """There is nothing to close."""


def _region(shape: Shape4, region: Any, dimensions: int) -> tuple[Any, ...]:
    """The index over [t, x, y, z] that a region means for a block of so many dimensions."""
    items = region if isinstance(region, tuple) else (region,)
    sliced = all(isinstance(item, slice) for item in items)
    if items == (...,):
        items, sliced = (slice(None),) * dimensions, True
    if not sliced or dimensions > 3 or len(items) != dimensions or shape[0] > 1:
        return items
    return (slice(None), *items)
