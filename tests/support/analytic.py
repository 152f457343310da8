"""Arrays of analytic states: the whole of ψ, positions and mean values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qwf_async.lattice.grid import Grid
from qwf_async.source.analytic.formula import Analytic

Array = NDArray[Any]


def whole(source: Analytic) -> Array:
    """ψ[t, x, y, z] on all of the grid of a state."""
    return source.read(source.grid.whole)


def positions(grid: Grid, axis: int) -> Array:
    """The positions of all points of an axis (1, 2, 3 are x, y, z)."""
    return grid.coordinates(axis, 0, grid.shape[axis])


def mean(source: Analytic, of: Array) -> Array:
    """The expectation value of a function of position at each frame."""
    volume = source.grid.cell_volume
    assert volume is not None
    density = np.abs(whole(source)) ** 2
    return np.asarray((density * of).sum(axis=(1, 2, 3)) * volume)


def line(frames: int = 1, *, points: int = 512, width: float | None = None, dt: float | None = None) -> Grid:
    """A grid of one dimension; without `width` and `dt` its spacing and its time step are unknown."""
    return Grid.of((points,), box=None if width is None else (width,), frames=frames, dt=dt)
