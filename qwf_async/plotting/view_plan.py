"""The view that a picture shows, planned before anything is read: a plane or a line, the frames, and the steps.

Pure functions of numbers. A picture has a limited number of pixels, so of a longer axis only
every n-th point is read. Values of ψ are drawn, not means: a mean of phases has no meaning, and
a mean of densities hides nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES, Grid, index_on_axis
from ..lattice.selection import Selection

MAX_SIDE_POINTS: Final = 640
"""Points along an axis of a picture: as many as a panel has pixels."""

MAX_ANIMATION_SIDE_POINTS: Final = 256
"""Points along an axis of an animation."""

MAX_SHOWN_FRAMES: Final = 400
"""Frames of an animation: with MAX_ANIMATION_SIDE_POINTS² points each, 210 MB of ψ as complex64 and as much of |ψ|²."""

MAX_LINE_POINTS: Final = 4096
"""Points along a line of one frame: many, so that narrow peaks are not missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A plane (two `axes`) or a line (one) through the grid, at one frame or more.

    `fixed` is the index along x, y, z; along the axes that are drawn it has no meaning. Every
    `steps`-th point of a drawn axis is shown, from the first one on.
    """

    grid: Grid
    frames: range
    axes: tuple[int, ...]
    fixed: tuple[int, int, int]
    steps: tuple[int, ...]

    def points(self, axis: int) -> range:
        """The indices along an axis that are shown; axis 0 is time."""
        if axis == 0:
            return self.frames
        if axis in self.axes:
            return range(0, self.grid.shape[axis], self.steps[self.axes.index(axis)])
        return range(self.fixed[axis - 1], self.fixed[axis - 1] + 1)

    def coordinates(self, axis: int) -> NDArray[np.float64]:
        """The coordinates of the shown points of an axis, in its unit; indices if its spacing is not known."""
        lattice_axis = self.grid.axes[axis]
        indices = np.array(self.points(axis), np.float64)
        return indices if lattice_axis.step is None else lattice_axis.origin + indices * lattice_axis.step

    def edges(self, axis: int) -> tuple[float, float]:
        """Where the cell of the first shown point begins and that of the last one ends, as `coordinates`."""
        lattice_axis, points = self.grid.axes[axis], self.points(axis)
        origin, step = (0.0, 1.0) if lattice_axis.step is None else (lattice_axis.origin, lattice_axis.step)
        low = origin + (points[0] - 0.5) * step
        return low, low + len(points) * points.step * step

    @property
    def selection(self) -> Selection:
        """The points to read, of shape [frames, points] or [frames, points, points]."""
        t, x, y, z = (self.points(axis) for axis in range(4))
        return Selection(axes=(t, x, y, z), kept=(0, *self.axes))

    @property
    def cut(self) -> tuple[int, ...]:
        """The axes that have several points and are cut at one of them."""
        return tuple(axis for axis in (1, 2, 3) if axis not in self.axes and self.grid.shape[axis] > 1)


def plan_view(
    grid: Grid, *, frames: range, fixed: Mapping[int, int] | None = None, max_points: int | None = None
) -> View:
    """The plane or line that is left when the axes in `fixed` (1, 2, 3 are x, y, z) have one index each.

    If three axes are left, the last one is cut in the middle. An index may be negative, as in
    NumPy. `max_points` is the number of points to show along an axis. Raises InvalidInput for an
    index or a frame outside the grid, for an axis that the grid does not have, and if no axis is left.
    """
    count = grid.shape[0]
    if not (0 <= frames[0] < count and 0 <= frames[-1] < count):
        raise InvalidInput(f"frame {frames[0]} is outside the grid: frames run from 0 to {count - 1}")
    indices = [0, 0, 0]
    for axis, index in (fixed or {}).items():
        if axis > grid.dimensions:
            raise InvalidInput(f"there is no axis {AXIS_NAMES[axis]} to cut: the grid has {grid.dimensions}")
        indices[axis - 1] = index_on_axis(AXIS_NAMES[axis], index, grid.shape[axis])
    free = [axis for axis in (1, 2, 3) if grid.shape[axis] > 1 and axis not in (fixed or {})]
    if len(free) == 3:
        indices[2] = grid.shape[3] // 2
        del free[2]
    if not free:
        if fixed:
            raise InvalidInput(
                "nothing is left to draw when all axes are cut: qwf get prints the value of a point"
            )
        free = [1]
    if len(frames) > MAX_SHOWN_FRAMES:
        frames = frames[:: -(-len(frames) // MAX_SHOWN_FRAMES)]
    is_line, is_animation = len(free) == 1, len(frames) > 1
    if max_points is None:
        if is_line:
            max_points = MAX_SIDE_POINTS if is_animation else MAX_LINE_POINTS
        else:
            max_points = MAX_ANIMATION_SIDE_POINTS if is_animation else MAX_SIDE_POINTS
    return View(
        grid=grid,
        frames=frames,
        axes=tuple(free),
        fixed=(indices[0], indices[1], indices[2]),
        steps=tuple(max(1, -(-grid.shape[axis] // max_points)) for axis in free),
    )
