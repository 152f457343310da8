"""The boxes of a frame of a stored wavefunction, read several at a time, for sums over its points."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from numpy.typing import NDArray

from ..client.parallel import in_parallel
from ..errors import InvalidInput
from ..lattice.grid import Box, Grid
from ..lattice.plan import BoxPlan
from .wavefunction import Wavefunction

T = TypeVar("T")

Done = Callable[[int], object]
"""Called with the number of points that are done."""


async def for_each_box(psi: Wavefunction, job: Callable[[Box], Awaitable[T]]) -> list[T]:
    """The results of a job for the boxes of frame 0, in the order of the boxes, so that sums can be repeated."""
    return await in_order(job, boxes_of(psi), psi.settings.writers)


async def for_each_column(psi: Wavefunction, axis: int, job: Callable[[list[Box]], Awaitable[T]]) -> list[T]:
    """As `for_each_box`, for each column of boxes that lie behind each other along an axis, in their order there."""
    columns: dict[tuple[int, ...], list[Box]] = {}
    for box in boxes_of(psi):
        columns.setdefault(tuple(box.start[:axis] + box.start[axis + 1 :]), []).append(box)
    return await in_order(job, list(columns.values()), psi.settings.writers)


def boxes_of(psi: Wavefunction) -> list[Box]:
    """The boxes of a frame, of about 65,536 points, as they are read best; of frame 0, see `at_frame`."""
    plan = BoxPlan.cut((1, *psi.manifest.grid.shape[1:]), unit=psi.manifest.form.scheme.grain)
    return [chunk.box for chunk in plan]


async def in_order(job: Callable[[Any], Awaitable[T]], items: Sequence[Any], at_once: int) -> list[T]:
    """The results of a job for items, several of which run at once, in the order of the items."""
    results: dict[int, T] = {}

    async def run(number: int) -> None:
        results[number] = await job(items[number])

    await in_parallel(run, range(len(items)), at_once)
    return [results[number] for number in range(len(items))]


async def read_box(psi: Wavefunction, box: Box) -> NDArray[Any]:
    """ψ[t, x, y, z] in a box."""
    return await psi.read[box.slices]


def at_frame(box: Box, number: int) -> Box:
    """A box of the frame 0, moved to another frame."""
    return Box(start=(number, *box.start[1:]), stop=(number + 1, *box.stop[1:]))


def time_of(grid: Grid, number: int) -> float:
    """The time of a frame in ħ/Eh, or in frames if the time step is not known."""
    axis = grid.axes[0].in_atomic_units("t")
    return axis.origin + number * (1.0 if axis.step is None else axis.step)


def numbers_of(grid: Grid, frames: Sequence[int] | None) -> Sequence[int]:
    """The numbers of frames that were asked for, None for all; below 0 they count from the end.

    Raises InvalidInput for one that is not there.
    """
    count = grid.shape[0]
    for number in frames or ():
        if not -count <= number < count:
            raise InvalidInput(f"frame {number} is outside the grid: frames run from 0 to {count - 1}")
    return range(count) if frames is None else [number % count for number in frames]
