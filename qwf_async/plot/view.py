"""What a picture shows, planned before anything is read: which plane or line, which frames, and every how many points.

Pure functions of numbers. A picture has so many pixels and no more: of an axis with more
points only every n-th is read. What is drawn are values of ψ, not means: a mean of a phase
has no meaning, and one of a density hides nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES, Grid
from ..lattice.selection import Selection

SIDE: Final = 640
"""Points along an axis of a picture, at most: the pixels that a panel has."""

FILM_SIDE: Final = 256
"""The same for an animation."""

FILM_FRAMES: Final = 400
"""Frames shown, at most: with FILM_SIDE² points each, 210 MB of ψ as complex64 and as much of |ψ|²."""

LINE: Final = 4096
"""Points along a line of one frame: narrow peaks are seen as long as they are a few pixels wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A plane (two `axes`) or a line (one) through the grid, at one frame or more.

    `fixed` is the index along x, y, z; it means nothing along the axes that are drawn. Of these
    every `steps`-th point is shown, from the first one on.
    """

    grid: Grid
    frames: range
    axes: tuple[int, ...]
    fixed: tuple[int, int, int]
    steps: tuple[int, ...]

    def points(self, axis: int) -> range:
        """The indices along an axis that are shown, that of time included."""
        if axis == 0:
            return self.frames
        if axis in self.axes:
            return range(0, self.grid.shape[axis], self.steps[self.axes.index(axis)])
        return range(self.fixed[axis - 1], self.fixed[axis - 1] + 1)

    @property
    def selection(self) -> Selection:
        """What is to be read: [frames, points] or [frames, points, points]."""
        t, x, y, z = (self.points(axis) for axis in range(4))
        return Selection(axes=(t, x, y, z), kept=(0, *self.axes))

    @property
    def cut(self) -> tuple[int, ...]:
        """The axes that the plane or line goes through at one index of several."""
        return tuple(axis for axis in (1, 2, 3) if axis not in self.axes and self.grid.shape[axis] > 1)


def plan_view(
    grid: Grid, *, frames: range, fixed: Mapping[int, int] | None = None, most: int | None = None
) -> View:
    """The plane or line that is left when the axes in `fixed` (1, 2, 3 are x, y, z) have one index each.

    Of three axes left the last one is cut in the middle. An index may be negative, as in NumPy.
    `most` are the points to show along an axis. Raises InvalidInput for an index or a frame
    outside the grid, for an axis that the grid has not, and if no axis is left.
    """
    count = grid.shape[0]
    if not (0 <= frames[0] < count and 0 <= frames[-1] < count):
        raise InvalidInput(f"frame {frames[0]} is outside the grid: frames run from 0 to {count - 1}")
    place = [0, 0, 0]
    for axis, index in (fixed or {}).items():
        size = grid.shape[axis]
        if axis > grid.dimensions:
            raise InvalidInput(f"there is no axis {AXIS_NAMES[axis]} to cut: the grid has {grid.dimensions}")
        if not -size <= index < size:
            name = AXIS_NAMES[axis]
            raise InvalidInput(f"{name} = {index} is outside the grid: {name} runs from 0 to {size - 1}")
        place[axis - 1] = index % size
    free = [axis for axis in (1, 2, 3) if grid.shape[axis] > 1 and axis not in (fixed or {})]
    if len(free) == 3:
        place[2] = grid.shape[3] // 2
        del free[2]
    if not free:
        if fixed:
            raise InvalidInput(
                "nothing is left to draw when all axes are cut: qwf get prints the value of a point"
            )
        free = [1]
    if len(frames) > FILM_FRAMES:
        frames = frames[:: -(-len(frames) // FILM_FRAMES)]
    line, film = len(free) == 1, len(frames) > 1
    side = most or (LINE if line and not film else FILM_SIDE if film and not line else SIDE)
    return View(
        grid=grid,
        frames=frames,
        axes=tuple(free),
        fixed=(place[0], place[1], place[2]),
        steps=tuple(max(1, -(-grid.shape[axis] // side)) for axis in free),
    )
