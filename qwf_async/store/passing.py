"""What is to either side of a plane, within a region, and passes the plane: of a stored wavefunction, frame by frame.

All are sums over points, read chunk by chunk. The flux needs ψ and ∂ψ at the plane, which are sums
along whole lines across it: the chunks of a column of lines are read one after the other, several
columns at a time. So memory is that of a few chunks of about 65,536 points.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput, UsageError
from ..lattice.grid import AXIS_NAMES, Box, Grid
from ..observables.flux import at_plane, check_inside, flux_of, plane_weights
from ..observables.region import Region, check_region, probability_in
from ..wording import option
from .frame_boxes import Done, at_frame, for_each_column, numbers_of, read_box, time_of
from .store import Store
from .wavefunction import Wavefunction

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """Probabilities of one frame, of ψ as it is stored, and the flux in Eh/ħ. What was not asked for is None.

    `left` and `right` are those below and above the plane; together they are `norm`. `within` is
    that in the region. `absorbed` is 1 − norm / norm of the first frame: what absorbing edges
    took. `flux` is ∫j dA through the plane, above 0 towards larger coordinates.
    """

    frame: int
    time: float | None
    norm: float
    absorbed: float
    left: float | None
    right: float | None
    within: float | None
    flux: float | None

    def to_json(self) -> dict[str, float | None]:
        """Each number that is not None by its name; time also if it is None."""
        row: dict[str, float | None] = {"frame": self.frame, "time": self.time}
        values = {
            name: getattr(self, name) for name in ("left", "right", "within", "norm", "absorbed", "flux")
        }
        return row | {name: value for name, value in values.items() if value is not None}


@checked
async def passing(
    store: Store,
    name: str | Wavefunction,
    *,
    at: Mapping[str, float] | None = None,
    region: Mapping[str, tuple[float, float]] | None = None,
    flux: bool = False,
    frames: Sequence[int] | None = None,
    done: Done = lambda points: None,
) -> AsyncIterator[Passing]:
    """The probabilities of a stored wavefunction beside a plane and in a region, of each frame or those given.

    `at` is the plane: {"x": 0.0} in bohr. `region` bounds axes: {"x": (5, 20), "y": (-2, math.inf)}.
    `flux` adds the flux through the plane. A cell that a plane or the edge of a region
    divides counts by its shares: see `observables.probability_in`; for the flux see `observables.flux`.
    `done` is called with the points of each frame.

    Raises InvalidInput if there is no such name, frame or axis, for a plane outside the grid and an
    empty region; UsageError for several planes, or none for a flux. Raises DamagedData if a value is
    missing, Refused if it was replaced meanwhile, and ServerUnavailable.
    """
    rows = passing_opened(
        await store.opened(name),
        at={_number_of(axis): value for axis, value in (at or {}).items()},
        region=None if region is None else {_number_of(axis): bounds for axis, bounds in region.items()},
        flux=flux,
        frames=frames,
        done=done,
    )
    async for row in rows:
        yield row


def _number_of(axis: str) -> int:
    if axis not in AXIS_NAMES[1:]:
        raise InvalidInput(f"{axis!r} is no axis: x, y or z")
    return AXIS_NAMES.index(axis)


async def passing_opened(
    psi: Wavefunction,
    *,
    at: Mapping[int, float],
    region: Region | None,
    flux: bool,
    frames: Sequence[int] | None,
    done: Done = lambda points: None,
) -> AsyncIterator[Passing]:
    """`passing`, of a wavefunction that is open; axes are 1, 2, 3 for x, y, z."""
    grid = psi.manifest.grid
    if len(at) > 1 or (flux and not at):
        raise UsageError(
            f"a flux goes through one plane: give {option('at')} with one coordinate, such as x=0"
        )
    for axis, value in at.items():
        check_inside(grid, axis, value)
    check_region(grid, region or {})
    weights = plane_weights(grid, *next(iter(at.items()))) if flux else None
    summing = _Summing(grid=grid, at=tuple(at.items()), region=region, weights=weights)

    async def sums_of(number: int) -> Real:
        columns = await for_each_column(psi, summing.across, partial(summing.column, psi, number))
        total: Real = np.stack(columns).sum(axis=0)
        return total

    numbers = numbers_of(grid, frames)
    first = await sums_of(0)
    for number in numbers:
        yield summing.passing(number, first if number == 0 else await sums_of(number), first)
        done(grid.frame_points)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Summing:
    """What is summed: norm, left, right, within and flux, [5]; what was not asked for stays 0.

    `weights` are those of `plane_weights`, or None if no flux is asked for.
    """

    grid: Grid
    at: tuple[tuple[int, float], ...]
    region: Region | None
    weights: Real | None

    @property
    def across(self) -> int:
        return self.at[0][0] if self.at else 1

    async def column(self, psi: Wavefunction, number: int, boxes: list[Box]) -> Real:
        """The sums of a column of boxes."""
        total = np.zeros(5)
        plane: Any = 0.0
        for box in boxes:
            part = at_frame(box, number)
            ket = await read_box(psi, part)
            total[:4] += await anyio.to_thread.run_sync(self._probabilities, ket, part)
            if self.weights is not None:
                plane = plane + await anyio.to_thread.run_sync(
                    at_plane, ket, self.grid, self.across, self.weights, part
                )
        if self.weights is not None:
            total[4] = flux_of(plane, self.grid, self.across)[0]
        return total

    def _probabilities(self, ket: NDArray[Any], box: Box) -> list[float]:
        regions: list[Region | None] = [{}, None, None, self.region]
        for axis, value in self.at:
            regions[1:3] = {axis: (-math.inf, value)}, {axis: (value, math.inf)}
        return [
            0.0 if region is None else float(probability_in(ket, self.grid, region, box)[0])
            for region in regions
        ]

    def passing(self, number: int, sums: Real, first: Real) -> Passing:
        norm, left, right, within, flux = sums.tolist()
        with np.errstate(invalid="ignore", divide="ignore"):
            kept = float(sums[0] / first[0])
        return Passing(
            frame=number,
            time=None if self.grid.axes[0].step is None else time_of(self.grid, number),
            norm=norm,
            absorbed=1 - kept,
            left=left if self.at else None,
            right=right if self.at else None,
            within=None if self.region is None else within,
            flux=None if self.weights is None else flux,
        )
