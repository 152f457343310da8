"""What is tuned: settings and options of an ingest that are measured together."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from ..lattice.grid import Order, Shape3, Shape4
from ..lattice.plan import BoxPlan
from ..settings import Settings
from ..wording import option, phrase

MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Values of all that is tuned.

    `producers` None means by the cores, as for an ingest. `slab_points` and `tile_points` are the
    points of a hash of layout flat and of a tile; None means the layout's own, and goes with all others.
    """

    writers: int
    producers: int | None
    stream_bytes: int
    layout: str
    slab_points: int | None = None
    tile_points: int | None = None

    @classmethod
    def usual(cls, settings: Settings, layout: str) -> Candidate:
        """What an ingest into this layout does by the settings as they are: the defaults, if nobody has set others."""
        return cls(
            writers=settings.writers,
            producers=settings.producers,
            stream_bytes=settings.stream_bytes,
            layout=layout,
        )

    def options(self, shape: Shape4, order: Order) -> dict[str, Any]:
        """The options of an ingest of a grid, for a source that is read best in this order."""
        slab = None
        if self.slab_points is not None:
            slab = BoxPlan.cut(shape, order=order, points=self.slab_points).chunk
        tile = None if self.tile_points is None else tile_of(shape, self.tile_points)
        return {
            "layout": self.layout,
            "slab": slab,
            "tile": tile,
            "writers": self.writers,
            "producers": self.producers,
        }

    def flags(self, shape: Shape4, order: Order) -> str:
        """The options of an ingest that settings cannot hold, as the reader writes them."""
        options = self.options(shape, order)
        words = [] if self.layout == "flat" else [option("layout", self.layout)]
        if options["slab"] is not None:
            t, x, y, z = options["slab"]
            words.append(
                phrase(command_line=option("slab", f"{x}x{y}x{z}x{t}"), python=f"slab={(t, x, y, z)}")
            )
        if options["tile"] is not None:
            tile = "x".join(map(str, options["tile"]))
            words.append(phrase(command_line=option("tile", tile), python=f"tile={options['tile']}"))
        return " ".join(words)

    def changed(self, usual: Candidate) -> dict[str, Any]:
        """What differs from another one, by its name."""
        others = asdict(usual)
        return {name: value for name, value in asdict(self).items() if value != others[name]}

    def described(self, usual: Candidate) -> str:
        """What differs from the defaults, in a few words."""
        words = {
            "writers": lambda value: f"writers {value}",
            "producers": lambda value: f"producers {'by cores' if value is None else value}",
            "stream_bytes": lambda value: f"stream {value / MIB:g} MiB",
            "layout": lambda value: f"layout {value}",
            "slab_points": lambda value: f"slabs of {value:,}",
            "tile_points": lambda value: f"tiles of {value:,}",
        }
        changes = [words[name](value) for name, value in self.changed(usual).items() if value is not None]
        if self.producers is None and usual.producers is not None:
            changes.insert(0, "producers by cores")
        return ", ".join(changes) or "the defaults"


def tile_of(shape: Shape4, points: int) -> Shape3:
    """A tile of about so many points along x, y, z: the shortest edge that has room is doubled until it has them."""
    tile = [1, 1, 1]
    while math.prod(tile) < points:
        room = [axis for axis in range(3) if tile[axis] < shape[axis + 1]]
        if not room:
            break
        axis = min(room, key=lambda a: tile[a])
        tile[axis] = min(2 * tile[axis], shape[axis + 1])
    return tile[0], tile[1], tile[2]
