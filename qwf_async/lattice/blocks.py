"""Plans whose chunks divide the blocks of many producers, so that each block is whole chunks.

A block is what one producer makes at a time, such as a block of a dask array. Pure functions of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, Self

from ..errors import UsageError
from .grid import AXIS_NAMES, Box, Shape4, shape4
from .plan import BoxPlan, Plan, RangePlan, c_index

Fits = Callable[[Plan], bool]
"""Whether a layout can be cut into a plan."""

TINY: Final = 16
"""Chunks may have so many times fewer points than those of an ingest: a hash of few points costs a request too."""


class Indivisible(UsageError):
    """No chunks divide the blocks. Blocks of the shape `advised` along t, x, y, z would do; `why` is the rest."""

    why: str = ""
    advised: Shape4 | None = None

    @classmethod
    def of(cls, why: str, advised: Shape4) -> Self:
        error = cls(f"{why}: array.rechunk({advised}) along t, x, y, z would do")
        error.why, error.advised = why, advised
        return error


def regular(shape: Shape4, blocks: Sequence[Sequence[int]]) -> Shape4:
    """The largest block that divides all blocks, from their sizes along each axis, of which the last may be smaller.

    Along an axis with one block it is the whole axis.
    """
    sizes = []
    for size, along in zip(shape, blocks, strict=True):
        inner = [sum(along[: n + 1]) for n in range(len(along) - 1)]
        sizes.append(math.gcd(*inner) if inner else size)
    return shape4(sizes)


def dividing(plan: Plan, blocks: Shape4, *, unit: Shape4, fits: Fits, usual: Shape4 | None = None) -> Plan:
    """A plan like this one, whose chunks divide blocks of so many points along t, x, y, z.

    `unit`: chunks of boxes are of whole units. `fits` says whether the layout takes a plan.
    Irregular blocks, which `blocks` divides, have about the `usual` shape.
    Raises UsageError for blocks that do not fit the grid, and Indivisible, also if the chunks would be TINY.
    """
    usual = usual or blocks
    if any(not 1 <= piece <= size for piece, size in zip(blocks, plan.shape, strict=True)):
        raise UsageError(f"blocks of {blocks} points along t, x, y, z do not fit a grid of {plan.shape}")
    if blocks == plan.shape:
        return plan
    found = (
        _boxes(plan, blocks, unit, usual) if isinstance(plan, BoxPlan) else _ranges(plan, blocks, fits, usual)
    )
    if found.largest * TINY < min(plan.largest, math.prod(usual)):
        raise Indivisible.of(
            f"blocks of about {usual} points along t, x, y, z have only {blocks} as a common divisor, "
            f"so they would be stored in chunks of {found.largest} points",
            _whole_units(plan.shape, blocks, usual, unit)
            if isinstance(plan, BoxPlan)
            else _whole_planes(plan.shape, math.prod(usual), _unit(plan, fits)),
        )
    return found


def check_divides(plan: BoxPlan, blocks: Shape4) -> None:
    """Raise UsageError if the chunks of a plan, which somebody asked for, do not divide the blocks."""
    for block, piece, size in zip(blocks, plan.chunk, plan.shape, strict=True):
        if block < size and block % piece:
            raise UsageError(
                f"chunks of {plan.chunk} points along t, x, y, z do not divide blocks of {blocks}"
            )


def whole_chunks(plan: Plan, region: Box) -> list[int]:
    """The numbers of the chunks that make up a region, which must be whole chunks.

    Raises UsageError, which says what divides the grid, if it is not.
    """
    if isinstance(plan, BoxPlan):
        ends = zip(region.start, region.stop, plan.chunk, plan.shape, strict=True)
        if all(a % c == 0 and (b % c == 0 or b == n) for a, b, c, n in ends):
            return [number for number, _ in plan.touched(region)]
        what = f"chunks of {plan.chunk} points along t, x, y, z"
    else:
        first = c_index(plan.shape, region.start)
        last = c_index(plan.shape, shape4(n - 1 for n in region.stop)) + 1
        is_run = last - first == region.points
        if is_run and first % plan.length == 0 and (last % plan.length == 0 or last == math.prod(plan.shape)):
            return list(range(first // plan.length, -(-last // plan.length)))
        what = f"chunks of {plan.length:,} points in the order of t, x, y, z"
    bounds = ", ".join(
        f"{name} {a}:{b}" for name, a, b in zip(AXIS_NAMES, region.start, region.stop, strict=True)
    )
    raise UsageError(
        f"the region {bounds} is not of whole {what}, which the grid of {plan.shape} is stored in: "
        "write regions that begin and end where chunks do, or begin with blocks= of the regions' shape"
    )


def _boxes(plan: BoxPlan, blocks: Shape4, unit: Shape4, usual: Shape4) -> BoxPlan:
    """As `BoxPlan.cut`: about as many points as the plan's, whole along the fastest axes, but within the blocks."""
    parted = [axis for axis in range(4) if blocks[axis] < plan.shape[axis]]
    if any(blocks[axis] % unit[axis] for axis in parted):
        raise Indivisible.of(
            f"blocks of {blocks} points along t, x, y, z are not of whole tiles of {unit[1:]}",
            _whole_units(plan.shape, blocks, usual, unit),
        )
    points = max(plan.largest, math.prod(unit))
    chunk = [min(size, piece) for size, piece in zip(plan.shape, unit, strict=True)]
    for axis in (3, 2, 1, 0) if plan.order == "C" else (0, 1, 2, 3):
        most = max(1, points // math.prod(chunk))  # units along this axis
        if axis in parted:
            most = next(n for n in _divisors(blocks[axis] // unit[axis]) if n <= most)
        chunk[axis] = min(plan.shape[axis], chunk[axis] * most)
    return BoxPlan(shape=plan.shape, chunk=shape4(chunk), order=plan.order)


def _whole_units(shape: Shape4, blocks: Shape4, usual: Shape4, unit: Shape4) -> Shape4:
    """Blocks about as large as the usual ones: along each axis a power of two of units, or the whole axis."""
    return shape4(
        min(size, piece * 2 ** max(0, round(math.log2(along / piece)))) if block < size else size
        for size, block, along, piece in zip(shape, blocks, usual, unit, strict=True)
    )


def _unit(plan: RangePlan, fits: Fits) -> int:
    """The points of which a range must have a multiple."""
    return next(n for n in range(1, plan.length + 1) if fits(replace(plan, length=n)))


def _ranges(plan: RangePlan, blocks: Shape4, fits: Fits, usual: Shape4) -> RangePlan:
    """Ranges that divide the blocks, if these are runs of points in C order."""
    unit = _unit(plan, fits)
    run = _run(plan.shape, blocks)
    if run and run % unit == 0:
        units = next(n for n in _divisors(run // unit) if n * unit <= plan.length)
        return replace(plan, length=units * unit)
    raise Indivisible.of(
        f"the chunks of this layout are runs of points in the order of t, x, y, z, and blocks of {blocks} points "
        "are not of whole chunks",
        _whole_planes(plan.shape, math.prod(usual), unit),
    )


def _run(shape: Shape4, blocks: Shape4) -> int:
    """The points in C order that divide the place where any block begins; 0 if blocks are no runs of points."""
    axis = next(
        (a for a in range(4) if blocks[a] > 1), 3
    )  # the slowest along which a block has several points
    if blocks[axis + 1 :] != shape[axis + 1 :]:
        return 0
    inner = math.prod(shape[axis + 1 :])
    around = shape[axis] * inner if math.prod(shape[:axis]) > 1 else 0
    return math.gcd(blocks[axis] * inner, around)


def _whole_planes(shape: Shape4, points: int, unit: int) -> Shape4:
    """Blocks of whole planes along y and z, or of whole frames, of about so many points."""
    nt, nx, ny, nz = shape
    aligned = unit // math.gcd(unit, nx * ny * nz)  # frames
    frames = max(1, round(points / (nx * ny * nz) / aligned)) * aligned
    advised = [(1, n, ny, nz) for n in _divisors(nx) if n * ny * nz % unit == 0]
    advised.append((min(nt, frames), nx, ny, nz))
    return min(advised, key=lambda blocks: abs(math.log(math.prod(blocks) / points)))


def _divisors(number: int) -> Iterator[int]:
    """The divisors of a number, the largest first."""
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    yield from (number // n for n in small)
    yield from (n for n in reversed(small) if n * n != number)
