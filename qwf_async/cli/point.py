"""The point that a command is about, as its indices or by --at as physical coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from ..lattice.grid import Grid

XArgument = Annotated[
    int | None, typer.Argument(help="Index along x; below 0 it counts from the end.", show_default=False)
]
YArgument = Annotated[int | None, typer.Argument(help="Index along y.", show_default="0")]
ZArgument = Annotated[int | None, typer.Argument(help="Index along z.", show_default="0")]
TOption = Annotated[int | None, typer.Option("--t", "-t", help="Index along t.", show_default="0")]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="x=-4.0,y=0",
        help="The grid point nearest to these coordinates, in the axes' own units; t=2.5 is a time.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRequest:
    """A point as it was asked for: its indices, or its coordinates by axis (0 to 3 are t, x, y, z)."""

    indices: tuple[int, int, int]
    t: int | None
    coordinates: Mapping[int, float] | None

    @classmethod
    def read(cls, x: int | None, y: int | None, z: int | None, t: int | None, at: str | None) -> PointRequest:
        """The arguments of a command as one request. Raises UsageError if they name no point, or name it twice."""
        if at is None:
            if x is None:
                raise UsageError("give the indices x y z of a point, or --at x=-4.0,y=0 with its coordinates")
            return cls(indices=(x, y or 0, z or 0), t=t, coordinates=None)
        if x is not None:
            raise UsageError("a point is given by its indices x y z or by --at, not by both")
        from ..lattice.position import read_coordinates

        coordinates = read_coordinates(at)
        if 0 in coordinates and t is not None:
            raise UsageError(f"--t {t} and t= of --at are both a place in time: give one of them")
        return cls(indices=(0, 0, 0), t=t, coordinates=coordinates)

    def on(self, grid: Grid) -> FoundPoint:
        """The point of this grid. Raises InvalidInput outside it, UsageError if an axis has no coordinate."""
        if self.coordinates is None:
            return FoundPoint.of(grid.index(*self.indices, self.t or 0))
        from ..lattice.grid import AXIS_NAMES
        from ..lattice.position import coordinate, nearest_point, position_text

        missing = [
            AXIS_NAMES[axis] for axis in (1, 2, 3) if grid.shape[axis] > 1 and axis not in self.coordinates
        ]
        if missing:
            raise UsageError(
                f"--at names no {' and no '.join(missing)}: a point has all, as in {missing[0]}=0"
            )
        nearest = nearest_point(grid, self.coordinates)
        x, y, z = (nearest.get(axis, 0) for axis in (1, 2, 3))
        return replace(
            FoundPoint.of(grid.index(x, y, z, nearest.get(0, self.t or 0))),
            position={AXIS_NAMES[axis]: coordinate(grid, axis, i) for axis, i in nearest.items()},
            text=position_text(grid, nearest),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPoint:
    """A point of a grid: its indices from 0 on, and for one that was found by --at where it lies."""

    x: int
    y: int
    z: int
    t: int
    position: Mapping[str, float]
    text: str

    @classmethod
    def of(cls, index: tuple[int, int, int, int]) -> FoundPoint:
        """The point of an array index [t, x, y, z]."""
        t, x, y, z = index
        return cls(x=x, y=y, z=z, t=t, position={}, text="")

    @property
    def xyzt(self) -> tuple[int, int, int, int]:
        return self.x, self.y, self.z, self.t

    def to_json(self) -> dict[str, Any]:
        """The indices by name; `position` has the coordinates of a point that was found by them."""
        indices = {"x": self.x, "y": self.y, "z": self.z, "t": self.t}
        return indices | ({"position": dict(self.position)} if self.position else {})
