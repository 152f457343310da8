"""Selections: NumPy's basic indexing over [t, x, y, z], planned as boxes to read.

They are pure functions of numbers, as in `plan`. Basic indexing takes integers, slices and one
ellipsis. Source: NumPy manual, "Indexing on ndarrays".
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidInput, UnusableIndex
from .grid import AXIS_NAMES, Box, Shape4, index_on_axis, shape4
from .plan import CHUNK_POINTS, BoxPlan

PIECE_COST: Final = 1000
"""The cost in points of a request and a reply, beside the points of its box: half a millisecond."""

FIELD_COST: Final = 5
"""The cost in points of a field that is asked for by its name, beside the points that it holds: about a microsecond."""

FIELD_SHARE: Final = 1.5
"""The cost of a point in such a field: its bytes become an object, and are copied out of it."""

Slices4 = tuple[slice, slice, slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedBox:
    """A box to read: `result[into] = values[taken]`, both with four axes."""

    box: Box
    taken: Slices4
    into: Slices4


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The selected indices of each axis, and the axes that the result has.

    The steps of `axes` may be negative. `kept` are the axes that were not indexed with an integer.
    """

    axes: tuple[range, range, range, range]
    kept: tuple[int, ...]

    @classmethod
    def of(cls, shape: Shape4, index: Any) -> Selection:
        """The selection `array[index]` of an array of this shape.

        Raises UnusableIndex for other than basic indexing (arrays, booleans, None), for too many
        indices, and for an integer outside the grid.
        """
        items = _expanded(index if isinstance(index, tuple) else (index,))
        axes, kept = [], []
        for axis, (size, item) in enumerate(zip(shape, items, strict=True)):
            axes.append(_indices(axis, size, item))
            if isinstance(item, slice):
                kept.append(axis)
        return cls(axes=(axes[0], axes[1], axes[2], axes[3]), kept=tuple(kept))

    def at(self, indices: Mapping[int, int]) -> Selection:
        """The part of it at these indices, by axis: the result has no such axis."""
        axes = [
            range(indices[axis], indices[axis] + 1) if axis in indices else selected
            for axis, selected in enumerate(self.axes)
        ]
        kept = tuple(axis for axis in self.kept if axis not in indices)
        return Selection(axes=(axes[0], axes[1], axes[2], axes[3]), kept=kept)

    @property
    def full_shape(self) -> Shape4:
        """Points along each of t, x, y, z."""
        return shape4(len(indices) for indices in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result, as in NumPy: without the axes that were indexed with an integer."""
        return tuple(len(self.axes[axis]) for axis in self.kept)

    @property
    def points(self) -> int:
        return math.prod(self.full_shape)

    def is_sparse(self, grain: Shape4) -> bool:
        """Whether its points are better read as points that lie anywhere than by boxes with what lies between them."""
        if self.points == 0 or all(abs(indices.step) == 1 for indices in self.axes):
            return False
        fields = 1.0
        for indices, unit in zip(self.axes, grain, strict=True):
            start, stop = _extent(indices)
            fields *= min(len(indices), -(-stop // unit) - start // unit)
        cost, _ = _cheapest(self.axes, grain, CHUNK_POINTS)
        return FIELD_COST * fields + FIELD_SHARE * fields * math.prod(grain) < cost

    def blocks(self, points: int = CHUNK_POINTS) -> Iterator[tuple[Selection, Slices4]]:
        """It in parts of about so many points at most, each with its place in the whole result, [t, x, y, z]."""
        sizes = [1, 1, 1, 1]
        for axis in (3, 2, 1, 0):
            sizes[axis] = max(1, min(len(self.axes[axis]), points // math.prod(sizes)))
        cuts = [range(0, len(indices), size) for indices, size in zip(self.axes, sizes, strict=True)]
        for places in product(*cuts):
            t, x, y, z = (slice(place, place + size) for place, size in zip(places, sizes, strict=True))
            axes = (self.axes[0][t], self.axes[1][x], self.axes[2][y], self.axes[3][z])
            yield Selection(axes=axes, kept=(0, 1, 2, 3)), (t, x, y, z)

    def indices(self) -> NDArray[np.int64]:
        """Its points, int64 [N, 4] in the order t, x, y, z, in C order."""
        axes = [np.arange(r.start, r.stop, r.step, dtype=np.int64) for r in self.axes]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 4)

    def pieces(
        self, grain: Shape4, points: int = CHUNK_POINTS, *, chunks: BoxPlan | None = None
    ) -> Iterator[SelectedBox]:
        """The boxes that cover the selection, about `points` points each at most, in C order of [t, x, y, z].

        They meet at multiples of `grain`, so that points that are stored together are read once. Along
        an axis with a step either the points between are read too, or each plane is read by itself,
        whichever is cheaper. If the selection covers most of the `chunks` that it touches, the boxes are its
        parts of chunks.
        """
        if self.points == 0:
            return
        _, apart = _cheapest(self.axes, grain, points)
        if chunks is not None and not any(apart) and _covers(self.axes, chunks):
            grain = sizes = chunks.chunk
        else:
            sizes = _sizes(self.axes, apart, grain, points)
        cuts = list(map(_cut, self.axes, apart, sizes, grain))
        for t, x, y, z in product(*cuts):
            yield SelectedBox(
                box=Box(start=(t.start, x.start, y.start, z.start), stop=(t.stop, x.stop, y.stop, z.stop)),
                taken=(t.taken, x.taken, y.taken, z.taken),
                into=(t.into, x.into, y.into, z.into),
            )


def scattered(shape: Shape4, points: ArrayLike) -> NDArray[np.int64]:
    """Points [N, 4] in the order x, y, z, t as array indices, int64 [N, 4] in the order t, x, y, z.

    An index below 0 counts from the end, as in NumPy. Raises InvalidInput if they are not
    integers, not four a row, or outside the grid.
    """
    try:
        given = np.asarray(points)
    except ValueError as error:
        raise InvalidInput(f"points are rows of four integers x, y, z, t: {error}") from error
    if given.ndim != 2 or given.shape[1] != 4:
        raise InvalidInput(
            f"points are rows of four integers x, y, z, t; got an array of shape {given.shape}"
        )
    if given.dtype.kind not in "iu":
        raise InvalidInput(f"points are rows of integers x, y, z, t; got {given.dtype}")
    sizes = np.array((*shape[1:], shape[0]))
    outside = np.flatnonzero(((given < -sizes) | (given >= sizes)).any(axis=1))
    if len(outside):
        rows = ", ".join(str(row) for row in outside[:5].tolist()) + (", …" if len(outside) > 5 else "")
        x, y, z, t = given[outside[0]].tolist()
        raise InvalidInput(
            f"{len(outside)} of {len(given)} points are outside the grid of {sizes.tolist()} points along "
            f"x, y, z, t: rows {rows}; row {outside[0]} is x = {x}, y = {y}, z = {z}, t = {t}"
        )
    indices = np.array(given[:, (3, 0, 1, 2)], np.int64, order="C")
    indices += (indices < 0) * np.array(shape)
    return indices


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """A part of one axis: the indices start … stop−1 are read, and `taken` of them go to `into` of the result."""

    start: int
    stop: int
    taken: slice
    into: slice


def _expanded(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """One item for each axis: the ellipsis and missing items become whole axes."""
    ellipses = sum(item is Ellipsis for item in items)
    if ellipses > 1:
        raise UnusableIndex("an index can have one ellipsis only")
    given = len(items) - ellipses
    if given > len(AXIS_NAMES):
        raise UnusableIndex(f"too many indices: {given} for the axes {', '.join(AXIS_NAMES)}")
    rest = (slice(None),) * (len(AXIS_NAMES) - given)
    if not ellipses:
        return items + rest
    position = next(n for n, item in enumerate(items) if item is Ellipsis)
    return items[:position] + rest + items[position + 1 :]


def _indices(axis: int, size: int, item: Any) -> range:
    """The indices of an axis that one item of an index selects."""
    name = AXIS_NAMES[axis]
    if isinstance(item, slice):
        try:
            return range(*item.indices(size))
        except (TypeError, ValueError) as error:
            parts = ":".join("" if part is None else str(part) for part in (item.start, item.stop, item.step))
            raise UnusableIndex(f"the slice {parts} of axis {name} cannot be used: {error}") from error
    if isinstance(item, bool) or not isinstance(item, SupportsIndex) or hasattr(item, "__len__"):
        raise UnusableIndex(
            f"axis {name} is indexed with {type(item).__name__}: "
            "it takes integers, slices and an ellipsis; read_points takes arrays"
        )
    number = index_on_axis(name, operator.index(item), size)
    return range(number, number + 1)


def _extent(indices: range) -> tuple[int, int]:
    """The first and one past the last of the indices, whatever their order."""
    return min(indices[0], indices[-1]), max(indices[0], indices[-1]) + 1


def _cheapest(axes: Sequence[range], grain: Shape4, points: int) -> tuple[float, tuple[bool, ...]]:
    """The cheapest way to read. Of several, that whose boxes are whole along the axes that change fastest."""
    return min(_costs(axes, grain, points), key=lambda way: (way[0], way[1][::-1]))


def _costs(axes: Sequence[range], grain: Shape4, points: int) -> Iterator[tuple[float, tuple[bool, ...]]]:
    """Each way to read: its cost in points, and for each axis whether each plane is read by itself."""
    ways = product(
        *((False, True) if abs(r.step) > g else (False,) for r, g in zip(axes, grain, strict=True))
    )
    for apart in ways:
        read, pieces = 1.0, 1.0
        for indices, alone, unit in zip(axes, apart, grain, strict=True):
            start, stop = _extent(indices)
            read *= len(indices) * unit if alone else stop - start
            pieces *= len(indices) if alone else 1
        yield read + PIECE_COST * max(pieces, read / points), apart


def _covers(axes: Sequence[range], chunks: BoxPlan) -> bool:
    """Whether what is read along the axes is more than half of the chunks that it touches."""
    share = 1.0
    for indices, size, whole in zip(axes, chunks.chunk, chunks.shape, strict=True):
        start, stop = _extent(indices)
        share *= (stop - start) / (min(-(-stop // size) * size, whole) - start // size * size)
    return share > 0.5


def _sizes(axes: Sequence[range], apart: Sequence[bool], grain: Shape4, points: int) -> Shape4:
    """The size of a piece along each axis: whole grains, whole along the axes that change fastest."""
    sizes = [1 if alone else unit for alone, unit in zip(apart, grain, strict=True)]
    for axis in (3, 2, 1, 0):
        if not apart[axis]:
            start, stop = _extent(axes[axis])
            whole = -(-stop // grain[axis]) - start // grain[axis]
            sizes[axis] *= min(whole, max(1, points // math.prod(sizes)))
    return shape4(sizes)


def _cut(indices: range, alone: bool, size: int, grain: int) -> list[_Cut]:
    """The parts of one axis: its single indices, or cuts at every `size` from the multiple of `grain` before it."""
    if alone:
        return [
            _Cut(start=i, stop=i + 1, taken=slice(0, 1), into=slice(n, n + 1)) for n, i in enumerate(indices)
        ]
    ascending = indices if indices.step > 0 else indices[::-1]
    step, last = ascending.step, len(indices) - 1
    begin, end = _extent(indices)
    cuts = []
    for edge in range(begin // grain * grain, end, size):
        # The ascending indices within [edge, edge + size) are those of the numbers first … stop−1.
        first = max(0, -(-(edge - begin) // step))
        stop = min(last + 1, -(-(edge + size - begin) // step))
        if first >= stop:
            continue
        start = ascending[first]
        width = ascending[stop - 1] - start + 1
        if indices.step > 0:
            into = slice(first, stop)
        else:  # the same points, counted from the other end
            into = slice(last - first, last - stop if stop <= last else None, -1)
        cuts.append(_Cut(start=start, stop=start + width, taken=slice(0, width, step), into=into))
    return cuts
