"""One mapping of an HDF5 virtual data set: which part of it is taken from which part of a source, or of many.

Source: HDF5 reference manual, `H5Pset_virtual`. A part can have no end. Then it goes as far as
its source does. If the source's part has an end, there is a source for each block of the
virtual data set's part, with the block's number in its name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A box of a virtual data set that comes from one source.

    Reading it opens `files` files. `chunk` is the block in which the source is packed, None if it
    is not packed.
    """

    start: Shape
    stop: Shape
    files: int
    chunk: Shape | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endless:
    """A selection without end along `axis`: runs of `block` indices, every `stride` indices from `start` on.

    `block` is None for a single run that has no end.
    """

    axis: int
    start: int
    stride: int
    block: int | None

    @classmethod
    def of(cls, space: Any, h5s: Any) -> Endless | None:
        """The endless part of a selection, None if the selection has an end along each axis."""
        if space.get_select_type() != h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
            return None
        for axis, (start, stride, count, block) in enumerate(
            zip(*space.get_regular_hyperslab(), strict=True)
        ):
            if h5s.UNLIMITED in (count, block):
                return cls(
                    axis=axis, start=start, stride=stride, block=None if block == h5s.UNLIMITED else block
                )
        return None

    def within(self, size: int) -> int:
        """How many of the first `size` indices along the axis are selected."""
        long = max(0, size - self.start)
        if self.block is None:
            return long
        whole, rest = divmod(long, self.stride)
        return whole * self.block + min(rest, self.block)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMap:
    """A mapping: which part of a virtual data set is taken from which part of its sources.

    `start` and `stop` bound the part of the virtual data set, and `endless` says how it has no
    end, `inner` how the source's part has none. There are `blocks` sources, named by number if
    they are `counted`. `ends` are the ends of what is taken of a source along each axis, None for
    all of it; `points` are its points, None if it is endless.
    """

    start: Shape
    stop: Shape
    endless: Endless | None
    inner: Endless | None
    ends: Shape | None
    points: int | None
    blocks: int

    @property
    def counted(self) -> bool:
        """Whether there is a source for each block, with its number in the name."""
        return self.endless is not None and self.inner is None

    @classmethod
    def of(cls, source: Any, shape: Shape, h5s: Any) -> SourceMap:
        """The mapping that h5py describes by `source`, in a virtual data set that has `shape` now."""
        outer, inner = Endless.of(source.vspace, h5s), Endless.of(source.src_space, h5s)
        blocks = 1
        if outer is None:
            start, last = source.vspace.get_select_bounds()
            stop = [n + 1 for n in last]
            points = source.vspace.get_select_npoints()
        else:
            start, _, count, block = source.vspace.get_regular_hyperslab()
            stop = _ends(source.vspace, outer.axis)
            stop[outer.axis] = shape[outer.axis]
            lengths = [a * b for a, b in zip(count, block, strict=True)]
            lengths[outer.axis] = outer.block or 1
            points = math.prod(lengths)
            if inner is None:
                blocks = max(1, -(-(shape[outer.axis] - outer.start) // outer.stride))
        ends: Shape | None = None
        if inner is not None:
            ends = tuple(_ends(source.src_space, inner.axis))
        elif source.src_space.get_select_type() != h5s.SEL_ALL:
            ends = tuple(n + 1 for n in source.src_space.get_select_bounds()[1])
        return cls(
            start=tuple(start),
            stop=tuple(stop),
            endless=outer,
            inner=inner,
            ends=ends,
            points=None if inner is not None else points,
            blocks=blocks,
        )

    def fault(self, shape: Shape) -> str | None:
        """What is wrong if a source of that shape does not hold all that is taken of it; None if it does."""
        has = f"has the shape {shape}"
        if self.ends is None:
            return (
                None
                if math.prod(shape) == self.points
                else f"{has}, where {self.points} points are taken of it"
            )
        if len(shape) != len(self.ends) or any(a < b for a, b in zip(shape, self.ends, strict=True)):
            return f"{has}, where it must reach to {self.ends}"
        if self.inner is not None and self.endless is not None:
            held, taken = (
                self.inner.within(shape[self.inner.axis]),
                self.endless.within(self.stop[self.endless.axis]),
            )
            if held < taken:
                return f"{has}, which gives {held} along its axis {self.inner.axis} where {taken} are taken of it"
        return None

    def piece(self, number: int, files: int, source: Any) -> Piece:
        """The piece of the virtual data set that comes from the source of that number."""
        start, stop = list(self.start), list(self.stop)
        if self.counted and self.endless is not None and self.endless.block is not None:
            axis = self.endless.axis
            start[axis] = self.endless.start + number * self.endless.stride
            stop[axis] = min(stop[axis], start[axis] + self.endless.block)
        packed = source.chunks if source.id.get_create_plist().get_nfilters() else None
        missing = len(start) - len(source.shape)  # dimensions that the source does not have
        return Piece(
            start=tuple(start),
            stop=tuple(stop),
            files=files,
            chunk=(1,) * missing + packed if packed is not None and missing >= 0 else None,
        )


def _ends(space: Any, endless: int) -> list[int]:
    """Where a selection in runs ends along each axis; 0 along the axis on which it is endless."""
    ends = [
        start + (count - 1) * stride + block
        for start, stride, count, block in zip(*space.get_regular_hyperslab(), strict=True)
    ]
    ends[endless] = 0
    return ends
