"""How one wavefunction lies on the server: a layout with its parameters, a codec and a shape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, Literal

from ..errors import InvalidInput, UsageError
from ..lattice.blocks import check_divides, dividing
from ..lattice.grid import Grid, Order, Shape3, Shape4, json_integer, shape4
from ..lattice.plan import BoxPlan, Plan, plan_from_json
from ..wire.arena import Arena
from ..wire.codec import check_codec
from ..wording import option, quoted
from .base import Layout, Scheme
from .flat import Flat
from .hash_memory import Server
from .packed import Packed
from .tile import Tile

LAYOUTS: Final[dict[str, type[Layout]]] = {"flat": Flat, "packed": Packed, "tile": Tile}
"""Every layout by its name. What is added here can be ingested, read, changed, verified and removed."""


MAX_SLAB_POINTS: Final = 2**17
"""Points of a slab, which one request may write or read: that holds a server up for some 30 ms."""

Slab = Shape4 | Literal["all"]
"""The points of a hash of layout flat: those of a box along t, x, y, z, or all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the points of one wavefunction lie on the server: layout with its parameters, codec, and chunks.

    `plan` says which points make a chunk. The data of a chunk and its journal are a group, whose
    keys are together wherever they lie. With `one_hash` all chunks are one group, in one hash.
    `tile` is the shape of a tile along x, y, z. A layout with tiles has one, by default its
    `default_tile`; no other has. Raises UsageError if the parts do not go together, and
    InvalidInput if the chunks are not what the layout is cut into.
    """

    layout: str
    codec: str
    plan: Plan
    tile: Shape3 | None = None
    one_hash: bool = False

    def __post_init__(self) -> None:
        layout = _layout(self.layout, self.codec)
        tile = _tile(self.layout, self.shape, self.tile)
        object.__setattr__(self, "tile", tile)
        if self.one_hash and not layout.slabs:
            raise UsageError(_no_slabs(self.layout))
        if not self.scheme.fits:
            raise InvalidInput(f"the chunks do not fit layout {self.layout} of {self.shape} points")

    @classmethod
    def of(
        cls,
        *,
        layout: str,
        codec: str,
        shape: Shape4,
        order: Order = "C",
        tile: Shape3 | None = None,
        slab: Slab | None = None,
        blocks: Shape4 | None = None,
        usual: Shape4 | None = None,
    ) -> Form:
        """The form of a grid, for a source that is read best in this order.

        `slab` goes with layout flat: about 16,384 points if it is None. The chunks divide `blocks`
        of so many points along t, x, y, z, if that is not None, of `usual` ones that are irregular.
        Raises UsageError if one of the two does not fit (`lattice.blocks`), else as the class.
        """
        kind = _layout(layout, codec)
        if slab is not None and not kind.slabs:
            raise UsageError(_no_slabs(layout))
        plan = kind.cut(shape, order, _tile(layout, shape, tile))
        if slab is not None and slab != "all":
            if any(not 1 <= piece <= size for piece, size in zip(slab, shape, strict=True)):
                raise UsageError(f"slabs of {slab} points along t, x, y, z do not fit a grid of {shape}")
            if math.prod(slab) > MAX_SLAB_POINTS:
                raise UsageError(
                    f"slabs of {math.prod(slab):,} points are too large for one request: at most {MAX_SLAB_POINTS:,}"
                )
            plan = BoxPlan(shape=shape, chunk=slab, order=order)
        form = cls(layout=layout, codec=codec, plan=plan, tile=tile, one_hash=slab == "all")
        if blocks is None:
            return form
        if slab not in (None, "all") and isinstance(plan, BoxPlan):
            check_divides(plan, blocks)
            return form
        return replace(form, plan=form.dividing(blocks, usual))

    def dividing(self, blocks: Shape4, usual: Shape4 | None = None) -> Plan:
        """A plan of this form whose chunks divide blocks; see `lattice.blocks`."""

        def fits(plan: Plan) -> bool:
            try:
                replace(self, plan=plan)
            except InvalidInput:
                return False
            return True

        return dividing(self.plan, blocks, unit=self.scheme.grain, fits=fits, usual=usual)

    @property
    def shape(self) -> Shape4:
        return self.plan.shape

    @property
    def groups(self) -> int:
        """How many groups there are: they are numbered from 0 on."""
        return 1 if self.one_hash else len(self.plan)

    def group_of(self, chunk: int) -> int:
        """The group that the chunk of this number belongs to."""
        return 0 if self.one_hash else chunk

    @property
    def scheme(self) -> Scheme:
        """What is known of it before there are data."""
        return self.open(b"")

    def open(self, base: bytes, *, by_restore: bool = False, arena: Arena | None = None) -> Layout:
        """The layout of the generation whose keys begin with `base`; `by_restore` and `arena` as for `Scheme.of`.

        Without an arena it has one of its own.
        """
        memory = Arena() if arena is None else arena
        return LAYOUTS[self.layout].of(self, base, by_restore=by_restore, arena=memory)

    def keys(self, base: bytes) -> Iterator[bytes]:
        """All data keys of the generation whose keys begin with `base`, group by group."""
        layout = self.open(base)
        return chain.from_iterable(map(layout.keys, range(self.groups)))

    def predicted_bytes(
        self,
        software: str | None,
        *,
        listpacks: bool = True,
        peak: bool = True,
        by_restore: bool | None = None,
    ) -> int:
        """Memory in bytes that a wavefunction in this form will take at most on a server.

        Without `peak`, what it takes in the end: less in one hash, whose table doubles.

        `software` is what INFO calls the server. For one that is neither Valkey nor Redis it is
        the larger figure of the two. It is that too if it is not known whether it is written
        `by_restore` (None). `listpacks` as for `Scheme.memory`.
        """
        models: dict[str | None, tuple[Server, ...]] = {"valkey": ("valkey",), "redis": ("redis",)}
        servers = models.get(software, ("valkey", "redis"))
        ways = (False, True) if by_restore is None else (by_restore,)
        return max(
            self.open(b"", by_restore=way).memory(server, listpacks=listpacks, peak=peak)
            for server in servers
            for way in ways
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the layout, as stored."""
        return ({} if self.tile is None else {"tile": list(self.tile)}) | (
            {"slab": "all"} if self.one_hash else {}
        )

    def described(self) -> dict[str, Any]:
        """The parameters of the layout for a reader, the box of a slab among them, and the number of groups."""
        slab = (
            {"slab": list(self.plan.chunk)}
            if isinstance(self.plan, BoxPlan) and LAYOUTS[self.layout].slabs
            else {}
        )
        return slab | self.parameters | {"groups": self.groups}

    def to_json(self) -> dict[str, Any]:
        return {
            "layout": self.layout,
            "codec": self.codec,
            "shape": list(self.shape),
            "plan": self.plan.to_json(),
            **self.parameters,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Form:
        """The inverse of `to_json`. Raises KeyError, TypeError, ValueError, InvalidInput or UsageError."""
        grid = Grid(shape=shape4(map(json_integer, value["shape"])))
        tile = None
        if value.get("tile") is not None:
            a, b, c = map(json_integer, value["tile"])
            tile = (a, b, c)
        if (slab := value.get("slab")) not in (None, "all"):
            raise ValueError(f"{quoted(slab)} is no slab")
        return cls(
            layout=value["layout"],
            codec=value["codec"],
            plan=plan_from_json(grid.shape, value["plan"]),
            tile=tile,
            one_hash=slab == "all",
        )


def _layout(name: str, codec: str) -> type[Layout]:
    """The layout of this name. Raises UsageError if there is none, or if it does not go with the codec."""
    check_codec(codec)
    if name not in LAYOUTS:
        raise UsageError(f"unknown layout {quoted(name)}: one of {', '.join(LAYOUTS)}")
    if codec not in LAYOUTS[name].codecs:
        others = " or ".join(other for other, layout in LAYOUTS.items() if codec in layout.codecs)
        raise UsageError(f"codec {codec} goes with layout {others} only, not {name}")
    return LAYOUTS[name]


def _tile(layout: str, shape: Shape4, tile: Shape3 | None) -> Shape3 | None:
    """The tile of a layout on a grid, by default the layout's own. Raises UsageError if it does not fit."""
    default = LAYOUTS[layout].default_tile(shape)
    if tile is None:
        return default
    if default is None:
        tiled = (name for name, other in LAYOUTS.items() if other.default_tile(shape))
        others = " or ".join(option("layout", name) for name in tiled)
        raise UsageError(f"layout {layout} has no tiles: {option('tile')} goes with {others}")
    if any(not 1 <= a <= n for a, n in zip(tile, shape[1:], strict=True)):
        raise UsageError(f"tiles of {tile} points do not fit a grid of {shape[1:]}")
    a, b, c = map(int, tile)  # from integers of NumPy too
    return a, b, c


def _no_slabs(layout: str) -> str:
    others = " or ".join(option("layout", name) for name, other in LAYOUTS.items() if other.slabs)
    return f"layout {layout} has no slabs: {option('slab')} goes with {others}"
