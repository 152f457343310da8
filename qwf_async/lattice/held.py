"""Of a box, the part whose chunks are held: as few boxes, whatever chunks are missing.

They are pure functions of numbers, as in `plan`, and take microseconds where the chunks came in order.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .grid import Box, Shape4, shape4
from .plan import BoxPlan, Plan, RangePlan, boxes_of_range, c_index, c_indices, common


def chunks_of(plan: Plan, box: Box) -> NDArray[np.int64]:
    """The numbers of the chunks that have a point of the box, int64 [N], each once."""
    if isinstance(plan, BoxPlan):
        return _numbers(plan, _cells(plan, box)).reshape(-1)
    # Points that are neighbours along z lie in one chunk, or in several that follow one another.
    *before, z, z_stop = *box.start[:3], box.start[3], box.stop[3]
    rows = Box(start=(before[0], before[1], before[2], z), stop=shape4((*box.stop[:3], z + 1)))
    firsts = c_indices(plan.shape, rows)
    lasts = (firsts + (z_stop - z - 1)) // plan.length
    firsts //= plan.length
    low, size = int(firsts[0]), int(lasts[-1] - firsts[0]) + 1
    changes = np.bincount(firsts - low, minlength=size + 1) - np.bincount(lasts + 1 - low, minlength=size + 1)
    return np.flatnonzero(np.cumsum(changes[:size])) + low


def held_boxes(plan: Plan, box: Box, held: NDArray[np.bool_]) -> Iterator[Box]:
    """The points of the box whose chunks are held, in boxes, each once. `held` is told for each chunk, [chunks]."""
    if isinstance(plan, RangePlan):
        yield from _held_ranges(plan, box, held)
        return
    cells = _cells(plan, box)
    for part in _full(held[_numbers(plan, cells)], cells.start):
        start = map(max, box.start, (n * size for n, size in zip(part.start, plan.chunk, strict=True)))
        stop = map(min, box.stop, (n * size for n, size in zip(part.stop, plan.chunk, strict=True)))
        yield Box(start=shape4(start), stop=shape4(stop))


def _held_ranges(plan: RangePlan, box: Box, held: NDArray[np.bool_]) -> Iterator[Box]:
    """As `held_boxes`: chunks that follow one another are one range of indices."""
    first = plan.holding(box.start)
    last = c_index(plan.shape, shape4(n - 1 for n in box.stop)) // plan.length
    edges = np.flatnonzero(np.diff(np.concatenate(([0], held[first : last + 1].view(np.int8), [0]))))
    for begin, end in (first + edges.reshape(-1, 2)).tolist():
        stop = min(end * plan.length, c_index(plan.shape, shape4(n - 1 for n in plan.shape)) + 1)
        for part in boxes_of_range(plan.shape, begin * plan.length, stop):
            if (both := common(box, part)) is not None:
                yield both


def _cells(plan: BoxPlan, box: Box) -> Box:
    """The places of the chunks that the box touches, as a box of places."""
    start = shape4(n // size for n, size in zip(box.start, plan.chunk, strict=True))
    return Box(start=start, stop=shape4(-(-n // size) for n, size in zip(box.stop, plan.chunk, strict=True)))


def _numbers(plan: BoxPlan, cells: Box) -> NDArray[np.int64]:
    """The numbers of the chunks at these places, in an array of their shape."""
    places = np.ix_(*(np.arange(a, b) for a, b in zip(cells.start, cells.stop, strict=True)))
    numbers: NDArray[np.int64] = np.ravel_multi_index(places, plan.counts, order=plan.order)
    return numbers


def _full(held: NDArray[np.bool_], corner: Shape4) -> Iterator[Box]:
    """The true cells of an array whose first cell is at `corner`, in boxes: by halves, as long as a half is mixed."""
    if held.all():
        yield Box(start=corner, stop=shape4(a + n for a, n in zip(corner, held.shape, strict=True)))
    elif held.any():
        axis = next(a for a in range(4) if held.shape[a] > 1)
        half = held.shape[axis] // 2
        one, other = np.split(held, [half], axis)
        yield from _full(one, corner)
        yield from _full(other, shape4(n + half * (a == axis) for a, n in enumerate(corner)))
