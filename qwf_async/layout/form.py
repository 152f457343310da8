"""How one wavefunction lies on the server: a layout with its parameters, a codec and a shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import InvalidInput, UsageError
from ..lattice.grid import Grid, Order, Shape3, Shape4, json_integer, shape4
from ..lattice.plan import Plan
from ..wire.codec import check_codec
from ..wording import option, quoted
from .base import Layout, Scheme
from .flat import Flat
from .hash_memory import Server
from .packed import Packed
from .tile import Tile

LAYOUTS: Final[dict[str, type[Layout]]] = {"flat": Flat, "packed": Packed, "tile": Tile}
"""Every layout by its name. What is added here can be ingested, read, changed, verified and removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the points of one wavefunction lie on the server: layout with its parameters, codec, shape.

    `tile` is the shape of a tile along x, y, z. A layout with tiles has one, by default its
    `default_tile`; no other has. Raises UsageError if the parts do not go together.
    """

    layout: str
    codec: str
    shape: Shape4
    tile: Shape3 | None = None

    def __post_init__(self) -> None:
        check_codec(self.codec)
        if self.layout not in LAYOUTS:
            raise UsageError(f"unknown layout {quoted(self.layout)}: one of {', '.join(LAYOUTS)}")
        layout = LAYOUTS[self.layout]
        if self.codec not in layout.codecs:
            others = " or ".join(name for name, other in LAYOUTS.items() if self.codec in other.codecs)
            raise UsageError(f"codec {self.codec} goes with layout {others} only, not {self.layout}")
        default = layout.default_tile(self.shape)
        if self.tile is None:
            object.__setattr__(self, "tile", default)
        elif default is None:
            tiled = (name for name, other in LAYOUTS.items() if other.default_tile(self.shape))
            others = " or ".join(option("layout", name) for name in tiled)
            raise UsageError(f"layout {self.layout} has no tiles: {option('tile')} goes with {others}")
        elif any(not 1 <= a <= n for a, n in zip(self.tile, self.shape[1:], strict=True)):
            raise UsageError(f"tiles of {self.tile} points do not fit a grid of {self.shape[1:]}")

    @property
    def scheme(self) -> Scheme:
        """What is known of it before there are data."""
        return self.open(b"")

    def plan(self, order: Order) -> Plan:
        """The chunks of a grid in this form, for a source that is read best in this order."""
        return self.scheme.plan(order)

    def check_plan(self, plan: Plan) -> None:
        """Raises InvalidInput if the chunks of a plan are not what this form is cut into: whole buckets or tiles."""
        if plan.shape != self.shape or not self.scheme.fits(plan):
            raise InvalidInput(f"the chunks do not fit layout {self.layout} of {self.shape} points")

    def open(self, base: bytes, *, by_restore: bool = False) -> Layout:
        """The layout of the generation whose keys begin with `base`; `by_restore` as for `Scheme.of`."""
        return LAYOUTS[self.layout].of(
            base=base, codec=self.codec, shape=self.shape, tile=self.tile, by_restore=by_restore
        )

    def predicted_bytes(self, software: str | None, *, listpacks: bool = True, peak: bool = True) -> int:
        """Memory in bytes that a wavefunction in this form will take at most on a server.

        Without `peak`, what it takes in the end: less in one hash, whose table doubles.

        `software` is what INFO calls the server. For one that is neither Valkey nor Redis it is
        the larger figure of the two. `listpacks` as for `Scheme.memory`.
        """
        models: dict[str | None, tuple[Server, ...]] = {"valkey": ("valkey",), "redis": ("redis",)}
        servers = models.get(software, ("valkey", "redis"))
        return max(self.scheme.memory(server, listpacks=listpacks, peak=peak) for server in servers)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the layout, as stored."""
        return {} if self.tile is None else {"tile": list(self.tile)}

    def to_json(self) -> dict[str, Any]:
        return {"layout": self.layout, "codec": self.codec, "shape": list(self.shape), **self.parameters}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Form:
        """The inverse of `to_json`. Raises KeyError, TypeError, ValueError, InvalidInput or UsageError."""
        grid = Grid(shape=shape4(map(json_integer, value["shape"])))
        tile = None
        if value.get("tile") is not None:
            a, b, c = map(json_integer, value["tile"])
            tile = (a, b, c)
        return cls(layout=value["layout"], codec=value["codec"], shape=grid.shape, tile=tile)
