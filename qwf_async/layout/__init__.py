"""How a grid lies in hashes: one module a layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import InvalidInput, UsageError
from ..lattice.grid import Grid, Order, Shape4, shape4, whole_number
from ..lattice.plan import BoxPlan, Plan, RangePlan
from ..wire.buckets import BUCKET
from ..wire.codec import binary_dtype, check_codec
from ..wording import option, quoted
from .base import Layout
from .flat import Flat
from .packed import CHUNK_BUCKETS, Packed
from .tile import CHUNK_POINTS as TILE_CHUNK_POINTS
from .tile import Shape3, Tile, default_tile

__all__ = ["LAYOUTS", "Form", "Layout"]

LAYOUTS: Final = ("flat", "packed", "tile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the points of one wavefunction lie on the server: layout with its parameters, codec, shape.

    `tile` is the shape of a tile along x, y, z; layout tile has one, by default as
    `default_tile` says, and no other has. Raises UsageError if the parts do not go together.
    """

    layout: str
    codec: str
    shape: Shape4
    tile: Shape3 | None = None

    def __post_init__(self) -> None:
        check_codec(self.codec)
        if self.layout not in LAYOUTS:
            raise UsageError(f"unknown layout {quoted(self.layout)}: one of {', '.join(LAYOUTS)}")
        if self.layout != "flat" and binary_dtype(self.codec) is None:
            raise UsageError(f"codec {self.codec} goes with layout flat only, not {self.layout}")
        if self.layout == "tile" and self.tile is None:
            object.__setattr__(self, "tile", default_tile(self.shape))
        if self.tile is not None:
            if self.layout != "tile":
                raise UsageError(
                    f"layout {self.layout} has no tiles: "
                    f"{option('tile')} goes with {option('layout', 'tile')}"
                )
            if any(not 1 <= a <= n for a, n in zip(self.tile, self.shape[1:], strict=True)):
                raise UsageError(f"tiles of {self.tile} points do not fit a grid of {self.shape[1:]}")

    def plan(self, order: Order) -> Plan:
        """The chunks of a grid in this form, for a source that is read best in this order."""
        if self.layout == "packed":
            return RangePlan.cut(self.shape, unit=CHUNK_BUCKETS)
        if self.tile is not None:
            return BoxPlan.cut(self.shape, order=order, points=TILE_CHUNK_POINTS, unit=(1, *self.tile))
        return BoxPlan.cut(self.shape, order=order)

    def check_plan(self, plan: Plan) -> None:
        """Raises InvalidInput if the chunks of a plan are not what this form is cut into: whole buckets or tiles."""
        if isinstance(plan, RangePlan):
            fits = self.layout == "packed" and (plan.length % BUCKET == 0 or len(plan) == 1)
        else:
            unit = (1, *(self.tile or (1, 1, 1)))
            fits = self.layout != "packed" and all(
                piece % one == 0 or piece == size
                for piece, one, size in zip(plan.chunk, unit, self.shape, strict=True)
            )
        if not fits or plan.shape != self.shape:
            raise InvalidInput(f"the chunks do not fit layout {self.layout} of {self.shape} points")

    def open(self, base: bytes, *, by_restore: bool = False) -> Layout:
        """The layout of the generation whose keys begin with `base`; `by_restore` as for `Packed`."""
        if self.layout == "packed":
            return Packed(base=base, codec=self.codec, shape=self.shape, by_restore=by_restore)
        if self.tile is not None:
            return Tile(base=base, codec=self.codec, shape=self.shape, tile=self.tile)
        return Flat(base=base, codec=self.codec)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the layout, as stored."""
        return {} if self.tile is None else {"tile": list(self.tile)}

    def to_json(self) -> dict[str, Any]:
        return {"layout": self.layout, "codec": self.codec, "shape": list(self.shape), **self.parameters}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Form:
        """The inverse of `to_json`. Raises KeyError, TypeError, ValueError, InvalidInput or UsageError."""
        grid = Grid(shape=shape4(map(whole_number, value["shape"])))
        tile = None
        if value.get("tile") is not None:
            a, b, c = map(whole_number, value["tile"])
            tile = (a, b, c)
        return cls(layout=value["layout"], codec=value["codec"], shape=grid.shape, tile=tile)
