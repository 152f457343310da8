"""Values of a box ↔ the lines of its tiles, wherever the tiles lie in memory.

A line is the points of a tile that are neighbours along z. Moved as one item each, values go twice as
fast as point by point. Values that go into tiles pass in runs of whole planes, which stay in
the cache of the processor while their digest is taken and they are put in their places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64

from ..lattice.grid import Box, Shape3, Shape4, shape4

RUN_BYTES: Final = 524_288
"""Bytes of a run, about. With 64 KiB the cost of each shows (−40 %), more than the cache holds gain nothing."""

Lines = NDArray[np.void]
"""The lines of tiles [t, i, j, k], each with the axes [a, b] of its own: all points of a tile but along z."""


def lines_of(
    data: NDArray[np.uint8], first: int, stride: int, counts: Shape4, tile: Shape3, itemsize: int
) -> Lines:
    """A view of the lines of tiles in C order, the first at byte `first` of the data, each `stride` bytes on.

    `counts` are the tiles along t, i, j, k, `itemsize` the bytes of a value.
    """
    (_, ni, nj, nk), (a, b, c) = counts, tile
    line = np.dtype((np.void, c * itemsize))
    strides = (ni * nj * nk * stride, nj * nk * stride, nk * stride, stride, b * line.itemsize, line.itemsize)
    return np.ndarray((*counts, a, b), line, data.data, first, strides)


def put(values: NDArray[Any], tile: Shape3, targets: Sequence[tuple[Box, Lines]]) -> int:
    """Put values [t, x, y, z] into tiles, with zeros where a tile goes beyond them. Returns their xxh3-64, in C order.

    `targets` are boxes of tiles, counted from the first tile on, which together hold all values, with
    the lines of each.
    """
    digest = xxh3_64()
    nt, nx, ny, nz = values.shape
    a, b, c = tile
    ni, nj, nk = -(-nx // a), -(-ny // b), -(-nz // c)
    line = np.dtype((np.void, c * values.itemsize))
    places = [(box.start, box.stop, box.slices, lines) for box, lines in targets]
    for t in range(nt):
        for x, stop in _runs(ni, a, nj * b * nk * c * values.itemsize):
            run = np.ascontiguousarray(values[t, x:stop])
            digest.update(run.data)
            if run.shape != (stop - x, nj * b, nk * c):
                padded = np.zeros((stop - x, nj * b, nk * c), values.dtype)
                padded[: len(run), :ny, :nz] = run
                run = padded
            i, first = divmod(x, a)
            planes = min(a, stop - x)
            grid = run.view(line).reshape(-1, planes, nj, b, nk)
            for start, end, (_, _, along_j, along_k), lines in places:
                low, high = max(i, start[1]), min(i + len(grid), end[1])
                if low < high and start[0] <= t < end[0]:
                    part = lines[t - start[0], low - start[1] : high - start[1], :, :, first : first + planes]
                    # [i, j, k, a, b] in the order of the grid, which is [i, a, j, b, k].
                    part.transpose(0, 3, 1, 4, 2)[...] = grid[low - i : high - i, :, along_j, :, along_k]
    return digest.intdigest()


def take_box(lines: Lines, tiles: Box, tile: Shape3, box: Box, into: NDArray[Any]) -> None:
    """Put those values of a box of tiles that a box of points holds into an array of the latter, contiguous along z."""
    grain = (1, *tile)
    covered = Box(
        start=shape4(n * g for n, g in zip(tiles.start, grain, strict=True)),
        stop=shape4(n * g for n, g in zip(tiles.stop, grain, strict=True)),
    )
    common = Box(
        start=shape4(map(max, box.start, covered.start)), stop=shape4(map(min, box.stop, covered.stop))
    )
    lines, covered = _cut(lines, covered, common, into.itemsize)
    part = into[common.within(box)]
    if common == covered:
        _take(lines, part)
    else:
        whole = np.empty(covered.shape, into.dtype)
        _take(lines, whole)
        part[...] = whole[common.within(covered)]


def _cut(lines: Lines, covered: Box, common: Box, itemsize: int) -> tuple[Lines, Box]:
    """The lines of the tiles of `covered`, and what they hold, cut to `common` along axes that have one tile.

    So of the tiles that hold a plane only the plane is moved.
    """
    start, stop = list(covered.start), list(covered.stop)
    for axis in (1, 2, 3):
        if lines.shape[axis] > 1:
            continue
        first, end = (n - covered.start[axis] for n in (common.start[axis], common.stop[axis]))
        start[axis], stop[axis] = common.start[axis], common.stop[axis]
        if axis == 3:
            run = np.dtype((np.void, (end - first) * itemsize))
            lines = lines.view(
                {
                    "names": ["run"],
                    "formats": [run],
                    "offsets": [first * itemsize],
                    "itemsize": lines.itemsize,
                }
            )["run"]
        else:
            lines = lines[:, :, :, :, first:end] if axis == 1 else lines[..., first:end]
    return lines, Box(start=shape4(start), stop=shape4(stop))


def _take(lines: Lines, into: NDArray[Any]) -> None:
    """Put all values of tiles into an array of their shape, [t, x, y, z], contiguous along z."""
    nt, ni, nj, nk, a, b = lines.shape
    # Axes that are only cut stay a view.
    grid = into.view(lines.dtype).reshape(nt, ni, a, nj, b, nk)
    grid[...] = lines.transpose(0, 1, 4, 2, 5, 3)


def _runs(rows: int, a: int, plane_bytes: int) -> Iterator[tuple[int, int]]:
    """The planes along x of so many rows of tiles, in runs: either whole rows, or a part of one row."""
    planes = max(1, RUN_BYTES // plane_bytes)
    step, row = (planes, a) if planes < a else (planes // a * a, planes // a * a)
    for first in range(0, rows * a, row):
        end = min(first + row, rows * a)
        for x in range(first, end, step):
            yield x, min(x + step, end)
