"""Plans: the grid cut into numbered chunks, in which it is read, sent and stored.

They are pure functions of numbers. A plan is stored with the data, so that a chunk number means
the same chunk for as long as the data is kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..wording import quoted
from .grid import Box, Order, Shape4, json_integer, shape4

CHUNK_POINTS: Final = 65_536
"""Points in a chunk, about: so many that the work per chunk is negligible, so few that dozens fit in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One numbered piece of the grid.

    Its values are those of `boxes`, one after the other, each in C order. A plan of boxes has one box
    a chunk, and the array of the values has its shape; otherwise the array is `flat`, [points].
    """

    number: int
    boxes: tuple[Box, ...]
    flat: bool = False

    @property
    def box(self) -> Box:
        """The box of a chunk of a plan of boxes."""
        (box,) = self.boxes
        return box

    @property
    def points(self) -> int:
        return sum(box.points for box in self.boxes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of its values."""
        return (self.points,) if self.flat else self.box.shape


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxPlan:
    """The grid cut into boxes of `chunk` points along each axis; the last ones are smaller.

    They are numbered in the order of the axes: "C" is time order, "F" the order of a Fortran file.
    """

    shape: Shape4
    chunk: Shape4
    order: Order = "C"

    def __post_init__(self) -> None:
        if self.order not in ("C", "F"):
            raise InvalidInput(f"chunk order {self.order!r} is neither C nor F")
        object.__setattr__(self, "chunk", shape4(map(int, self.chunk)))  # from integers of NumPy too
        for size, piece in zip(self.shape, self.chunk, strict=True):
            if not 1 <= piece <= size:
                raise InvalidInput(f"chunks of {self.chunk} do not fit a grid of {self.shape}")

    @classmethod
    def cut(
        cls, shape: Shape4, *, order: Order = "C", points: int = CHUNK_POINTS, unit: Shape4 = (1, 1, 1, 1)
    ) -> BoxPlan:
        """A plan of whole units, with about `points` points a chunk at most, whole along the fastest axes."""
        chunk = [min(size, piece) for size, piece in zip(shape, unit, strict=True)]
        for axis in (3, 2, 1, 0) if order == "C" else (0, 1, 2, 3):
            room = points // math.prod(chunk)
            chunk[axis] = min(shape[axis], chunk[axis] * max(1, room))
        return cls(shape=shape, chunk=shape4(chunk), order=order)

    @property
    def largest(self) -> int:
        """Points of the largest chunk."""
        return math.prod(self.chunk)

    @property
    def counts(self) -> Shape4:
        """Chunks along each axis."""
        return shape4(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __getitem__(self, number: int) -> Chunk:
        if not 0 <= number < len(self):
            raise IndexError(number)
        position = [0, 0, 0, 0]  # of the chunk among all chunks, along t, x, y, z
        rest = number
        for axis in (3, 2, 1, 0) if self.order == "C" else (0, 1, 2, 3):
            rest, position[axis] = divmod(rest, self.counts[axis])
        start = shape4(p * c for p, c in zip(position, self.chunk, strict=True))
        ends = zip(start, self.chunk, self.shape, strict=True)
        stop = shape4(min(a + c, n) for a, c, n in ends)
        return Chunk(number=number, boxes=(Box(start=start, stop=stop),))

    def __iter__(self) -> Iterator[Chunk]:
        return (self[number] for number in range(len(self)))

    def holding(self, index: Shape4) -> int:
        """The number of the chunk that holds the point [t, x, y, z]."""
        number = 0
        for axis in (0, 1, 2, 3) if self.order == "C" else (3, 2, 1, 0):
            number = number * self.counts[axis] + index[axis] // self.chunk[axis]
        return number

    def holding_each(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of the chunk that holds each point, int64 [N], of points [N, 4] in the order t, x, y, z."""
        positions = tuple((points // np.array(self.chunk)).T)
        numbers: NDArray[np.int64] = np.ravel_multi_index(positions, self.counts, order=self.order)
        return numbers

    @property
    def sizes(self) -> Counter[int]:
        """How many chunks there are of each number of points."""
        sizes = Counter({1: 1})
        for size, piece in zip(self.shape, self.chunk, strict=True):
            along = Counter({piece: size // piece}) + Counter({size % piece: 1 if size % piece else 0})
            sizes = _products(sizes, along)
        return sizes

    def touched_count(self, box: Box) -> int:
        """How many chunks a box touches."""
        ends = zip(box.start, box.stop, self.chunk, strict=True)
        return math.prod(-(-stop // piece) - start // piece for start, stop, piece in ends)

    def touched(self, box: Box) -> Iterator[tuple[int, tuple[Box, ...]]]:
        """The chunks that a box touches, each with the part of the box that it holds, in C order of their places."""
        ends = zip(box.start, box.stop, self.chunk, strict=True)
        for t, x, y, z in product(*(range(a // n * n, b, n) for a, b, n in ends)):
            start = (t, x, y, z)
            stop = shape4(map(min, box.stop, (a + n for a, n in zip(start, self.chunk, strict=True))))
            yield self.holding(start), (Box(start=shape4(map(max, box.start, start)), stop=stop),)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "box", "chunk": list(self.chunk), "order": self.order, "count": len(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RangePlan:
    """The grid cut into ranges of `length` C-order indices; the last one is shorter."""

    shape: Shape4
    length: int

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InvalidInput(f"chunks of {self.length} points cannot be")

    @classmethod
    def cut(cls, shape: Shape4, *, points: int = CHUNK_POINTS, unit: int = 1) -> RangePlan:
        """A plan of ranges of whole units, with about `points` points a range at most."""
        return cls(shape=shape, length=max(1, points // unit) * unit)

    @property
    def largest(self) -> int:
        """Points of the largest chunk."""
        return min(self.length, math.prod(self.shape))

    def __len__(self) -> int:
        return -(-math.prod(self.shape) // self.length)

    def __getitem__(self, number: int) -> Chunk:
        if not 0 <= number < len(self):
            raise IndexError(number)
        start = number * self.length
        stop = min(start + self.length, math.prod(self.shape))
        return Chunk(number=number, boxes=tuple(boxes_of_range(self.shape, start, stop)), flat=True)

    def __iter__(self) -> Iterator[Chunk]:
        return (self[number] for number in range(len(self)))

    def holding(self, index: Shape4) -> int:
        """The number of the chunk that holds the point [t, x, y, z]."""
        return c_index(self.shape, index) // self.length

    def holding_each(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of the chunk that holds each point, int64 [N], of points [N, 4] in the order t, x, y, z."""
        numbers: NDArray[np.int64] = np.ravel_multi_index(tuple(points.T), self.shape) // self.length
        return numbers

    def touched_count(self, box: Box) -> int:
        """How many chunks a box touches at most."""
        return len(self._numbers(box))

    def _numbers(self, box: Box) -> range:
        """The chunks from that of the first point of a box to that of its last."""
        last = c_index(self.shape, shape4(n - 1 for n in box.stop))
        return range(self.holding(box.start), last // self.length + 1)

    def touched(self, box: Box) -> Iterator[tuple[int, tuple[Box, ...]]]:
        """The chunks that a box touches, each with the parts of the box that it holds."""
        for number in self._numbers(box):
            both = (common(box, part) for part in self[number].boxes)
            if parts := tuple(part for part in both if part is not None):
                yield number, parts

    def to_json(self) -> dict[str, Any]:
        return {"kind": "range", "length": self.length, "count": len(self)}


Plan = BoxPlan | RangePlan


def plan_from_json(shape: Shape4, value: Mapping[str, Any]) -> Plan:
    """The inverse of the plans' `to_json`. Raises KeyError, TypeError or ValueError if it is malformed."""
    plan: Plan
    if value["kind"] == "range":
        plan = RangePlan(shape=shape, length=json_integer(value["length"]))
    elif value["kind"] == "box":
        plan = BoxPlan(shape=shape, chunk=shape4(map(json_integer, value["chunk"])), order=value["order"])
    else:
        raise ValueError(f"a plan of kind {quoted(value['kind'])} is not known")
    if len(plan) != value["count"]:
        raise ValueError(f"a plan of {quoted(value['count'])} chunks has {len(plan)}")
    return plan


def _products(a: Counter[int], b: Counter[int]) -> Counter[int]:
    """The products of all numbers of both, as often as they occur."""
    products: Counter[int] = Counter()
    for (m, times), (n, others) in product(a.items(), b.items()):
        products[m * n] += times * others
    return products


def common(a: Box, b: Box) -> Box | None:
    """The points of both boxes; None if there are none."""
    start = shape4(map(max, a.start, b.start))
    stop = shape4(map(min, a.stop, b.stop))
    whole = all(first < end for first, end in zip(start, stop, strict=True))
    return Box(start=start, stop=stop) if whole else None


def c_index(shape: Shape4, index: Shape4) -> int:
    """The C-order index of the point [t, x, y, z]."""
    flat = 0
    for size, i in zip(shape, index, strict=True):
        flat = flat * size + i
    return flat


def c_range(shape: Shape4, box: Box) -> tuple[int, int] | None:
    """Where the points of a box begin and end in C order, if they are all the points between."""
    partial = [axis for axis in range(4) if box.shape[axis] < shape[axis]]
    if partial and any(size > 1 for size in box.shape[: partial[-1]]):
        return None
    start = c_index(shape, box.start)
    return start, start + box.points


def c_indices(shape: Shape4, box: Box) -> NDArray[np.int64]:
    """The C-order indices of the points of a box, int64 [points], ascending."""
    t, x, y, z = (np.arange(a, b, dtype=np.int64) for a, b in zip(box.start, box.stop, strict=True))
    # [t, 1] with [x], then [t, x, 1] with [y], then [t, x, y, 1] with [z]: indices [t, x, y, z].
    indices = ((t[:, None] * shape[1] + x)[..., None] * shape[2] + y)[..., None] * shape[3] + z
    return indices.reshape(-1)


def points_of(box: Box) -> NDArray[np.int64]:
    """The points of a box, int64 [N, 4] in the order t, x, y, z, in C order."""
    indices = np.stack(np.unravel_index(np.arange(box.points), box.shape), axis=1)
    points: NDArray[np.int64] = indices + np.array(box.start)
    return points


def boxes_of_range(shape: Shape4, start: int, stop: int) -> Iterator[Box]:
    """The boxes of the C-order indices start … stop−1, in order: at most seven.

    Each box is as long as possible: from its first point on it is whole along the axes after the
    one along which it ends.
    """
    while start < stop:
        point, rest = [0, 0, 0, 0], start
        for axis in (3, 2, 1, 0):
            rest, point[axis] = divmod(rest, shape[axis])
        axis, inner = 3, 1
        while axis > 0 and point[axis] == 0 and start + inner * shape[axis] <= stop:
            inner *= shape[axis]
            axis -= 1
        count = min(shape[axis] - point[axis], (stop - start) // inner)
        end = [i + 1 for i in point[:axis]] + [point[axis] + count] + list(shape[axis + 1 :])
        yield Box(start=shape4(point), stop=shape4(end))
        start += count * inner
