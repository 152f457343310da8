"""What a picture needs, read from a stored wavefunction, and no more of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from ..observables.geometry import coordinates, in_steps
from ..store.observing import marginals_opened, observe_opened
from ..store.wavefunction import Wavefunction
from .curves import Expectations, Marginals
from .picture import Picture, axis_label, moment
from .view import plan_view

Done = Callable[[int], object]

BLANK: Final = 1e-20
"""ψ vanishes on a plane if |ψ|² stays below this share of its mean: nothing but the square of rounding errors.

It is asked of 16 × 16 points, so as not to read a plane in vain. A packet that is wider than a
tenth of their distance, which of 512 points are three, is not missed: at 9.6 σ it is as large as this.
"""

PROBES: Final = 16


async def read_picture(
    psi: Wavefunction,
    *,
    frames: range = range(1),
    fixed: Mapping[int, int] | None = None,
    most: int | None = None,
    done: Done = lambda points: None,
) -> Picture:
    """ψ over a plane or a line, at one frame or more; see `view.plan_view`.

    Without `fixed` a state of three dimensions is cut in the middle of z; if ψ vanishes
    there, as on the nodal plane of an orbital, in the middle of y, or else of x. Frames beyond
    the first are held as complex64. Raises as `plan_view` and `Wavefunction.point`.
    """
    grid = psi.manifest.grid
    if not fixed and min(grid.shape[1:]) > 1:
        fixed = await _middle(psi, frames[0])
    view = plan_view(grid, frames=frames, fixed=fixed, most=most)
    dtype = psi.dtype if len(view.frames) == 1 else np.dtype(np.complex64)
    values = np.empty(view.selection.shape, dtype)
    with np.errstate(over="ignore"):  # beyond complex64: shown as not finite
        await psi.read_selection(view.selection, values, done=done)
    return Picture(name=psi.name, view=view, psi=values)


async def read_marginals(psi: Wavefunction, frame: int = 0) -> Marginals:
    """The probability density along each axis at one frame: all of its points are read, chunk by chunk."""
    grid = psi.manifest.grid
    densities = await marginals_opened(psi, frame)
    return Marginals(
        title=f"{psi.name}   {moment(grid, frame)}" if grid.shape[0] > 1 else psi.name,
        places=tuple(coordinates(grid, axis, 0, len(rho)) for axis, rho in enumerate(densities, start=1)),
        densities=tuple(densities),
        in_steps=in_steps(grid),
    )


async def read_expectations(psi: Wavefunction, *, done: Done = lambda points: None) -> Expectations:
    """⟨x⟩, σ and norm of all frames: all points are read, chunk by chunk."""
    grid = psi.manifest.grid
    rows = [row async for row in observe_opened(psi, sums_only=True, done=done)]
    return Expectations(
        name=psi.name,
        time_label=axis_label(grid.in_atomic_units(), 0),
        times=np.array([row.frame if row.time is None else row.time for row in rows], np.float64),
        mean=np.array([row.position for row in rows]),
        sigma=np.array([row.position_sigma for row in rows]),
        norm=np.array([row.norm for row in rows]),
        in_steps=in_steps(grid),
    )


async def _middle(psi: Wavefunction, frame: int) -> dict[int, int]:
    """The axis to cut in its middle: z, unless ψ vanishes there; then y, or else x."""
    grid, norm = psi.manifest.grid, psi.manifest.norm
    mean = 0.0 if norm is None or not grid.cell_volume else norm / (grid.cell_volume * grid.frame_points)
    for cut in (3, 2, 1) if 0 <= frame < grid.shape[0] else ():
        spread = [
            np.unique(((np.arange(PROBES) + 0.5) * n / PROBES).astype(np.int64)) for n in grid.shape[1:]
        ]
        spread[cut - 1] = np.array([grid.shape[cut] // 2])
        points = np.stack(np.meshgrid(*spread, [frame], indexing="ij"), axis=-1).reshape(-1, 4)
        if not np.all(np.abs(await psi.read_points(points)) <= math.sqrt(BLANK * mean)):
            return {cut: grid.shape[cut] // 2}
    return {3: grid.shape[3] // 2}
