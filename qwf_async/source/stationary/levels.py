"""The states of a coarse grid as the first guess for a finer one: most of the work is done where it is cheap.

The coarse grid has half as many points along each axis that is long and even, and one coarser still
comes before it. The states are carried over by Fourier interpolation, which is exact for waves
that the coarse grid holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...lattice.grid import Axis, Grid, shape4

Real = NDArray[np.float64]

MIN_COARSE_POINTS: Final = 16
"""Points along an axis of a coarse grid, at least."""

MIN_FINE_POINTS: Final = 8_192
"""Points of a grid that has a coarser one before it, at least."""

COARSE_ACCURACY: Final = 1e-3
"""Bound on the residuals on a coarse grid, where that on the finest is smaller."""


def grids(grid: Grid) -> list[Grid]:
    """The grid and the coarser ones before it, the coarsest first."""
    result = [grid]
    while (coarser := _coarser(result[0])) is not None:
        result.insert(0, coarser)
    return result


def _coarser(grid: Grid) -> Grid | None:
    halved = [size % 2 == 0 and size >= 2 * MIN_COARSE_POINTS for size in grid.shape[1:]]
    if grid.frame_points < MIN_FINE_POINTS or not any(halved):
        return None
    sizes = [size // 2 if half else size for size, half in zip(grid.shape[1:], halved, strict=True)]
    t, x, y, z = (
        _stretched(axis) if half else axis for axis, half in zip(grid.axes, (False, *halved), strict=True)
    )
    return replace(grid, shape=shape4((grid.shape[0], *sizes)), axes=(t, x, y, z))


def _stretched(axis: Axis) -> Axis:
    return replace(axis, step=2 * (axis.step or 0.0))


def thinned(values: Real, fine: Grid, coarse: Grid) -> Real:
    """V at the points of a coarse grid, from V at those of the fine one, [x, y, z] or what broadcasts to it.

    A user's function is not called for it: it may be a table of values at the points of the fine grid.
    """
    steps = [many // few for many, few in zip(fine.shape[1:], coarse.shape[1:], strict=True)]
    return values[:: steps[0], :: steps[1], :: steps[2]]


def interpolated(states: Real, coarse: Grid, fine: Grid) -> Real:
    """States [m, N] of a coarse grid on a finer one, not normalised."""
    from scipy import fft  # heavy, and optional

    d = fine.dimensions
    few, many = coarse.shape[1 : d + 1], fine.shape[1 : d + 1]
    result = np.empty((len(states), fine.frame_points))
    for one, into in zip(states, result, strict=True):
        waves = fft.fftn(one.reshape(few))
        padded = np.zeros(many, np.complex128)
        for source, target in _corners(few, many):
            padded[target] = waves[source]
        into[:] = fft.ifftn(padded, overwrite_x=True).real.reshape(-1)
    return result


def _corners(
    few: tuple[int, ...], many: tuple[int, ...]
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Where the waves of each sign of k along each axis lie, in the coarse and in the fine spectrum.

    The shortest wave, which stands for both signs, is left out where an axis is refined.
    """
    pairs: list[tuple[tuple[slice, ...], tuple[slice, ...]]] = [((), ())]
    for n, m in zip(few, many, strict=True):
        ends = [(slice(n), slice(n))]
        if n != m:
            low, high = (n + 1) // 2, (n - 1) // 2
            ends = [(slice(low), slice(low)), (slice(n - high, n), slice(m - high, m))]
        pairs = [((*a, source), (*b, target)) for a, b in pairs for source, target in ends]
    return iter(pairs)
