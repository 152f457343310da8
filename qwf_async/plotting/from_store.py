"""Pictures, marginals and expectations read from a stored wavefunction: only the points that are shown are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from ..observables.geometry import coordinates, in_steps
from ..store.frame_boxes import Done
from ..store.observing import marginals_opened, observe_opened
from ..store.wavefunction import Wavefunction
from .curves import Expectations, Marginals
from .labels import axis_label, time_label
from .picture import Picture
from .view_plan import plan_view

MAX_VANISHING_SHARE: Final = 1e-20
"""ψ vanishes on a plane if |ψ|² stays below this share of its mean, which is the square of rounding errors.

PROBES × PROBES points are looked at, so that no plane is read in vain. A packet is not missed if
it is wider than a tenth of their distance, which is three of 512 points: at 9.6 σ it is as large
as this.
"""

PROBES: Final = 16
"""Points along each axis of a plane that are looked at."""


async def read_picture(
    psi: Wavefunction,
    *,
    frames: range = range(1),
    fixed: Mapping[int, int] | None = None,
    max_points: int | None = None,
    done: Done = lambda points: None,
) -> Picture:
    """ψ on a plane or a line, at one frame or more; arguments as for `plan_view`.

    Without `fixed` a state of three dimensions is cut in the middle of z. If ψ vanishes there, as
    on the nodal plane of an orbital, it is cut in the middle of y, or else of x. More than one
    frame is held as complex64. Raises as `plan_view` and `Wavefunction.point`.
    """
    grid = psi.manifest.grid
    if not fixed and min(grid.shape[1:]) > 1:
        fixed = await _middle(psi, frames[0])
    view = plan_view(grid, frames=frames, fixed=fixed, max_points=max_points)
    dtype = psi.dtype if len(view.frames) == 1 else np.dtype(np.complex64)
    values = np.empty(view.selection.shape, dtype)
    with np.errstate(over="ignore"):  # values beyond complex64 are shown as not finite
        await psi.read_selection(view.selection, values, done=done)
    return Picture(name=psi.name, view=view, psi=values)


async def read_marginals(psi: Wavefunction, frame: int = 0) -> Marginals:
    """The probability density along each axis at one frame. All of its points are read, chunk by chunk."""
    grid = psi.manifest.grid
    densities = await marginals_opened(psi, frame)
    return Marginals(
        title=f"{psi.name}   {time_label(grid, frame)}" if grid.shape[0] > 1 else psi.name,
        coordinates=tuple(
            coordinates(grid, axis, 0, len(rho)) for axis, rho in enumerate(densities, start=1)
        ),
        densities=tuple(densities),
        in_steps=in_steps(grid),
    )


async def read_expectations(psi: Wavefunction, *, done: Done = lambda points: None) -> Expectations:
    """⟨x⟩, σ and norm of all frames. All points are read, chunk by chunk."""
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
        probes = [
            np.unique(((np.arange(PROBES) + 0.5) * n / PROBES).astype(np.int64)) for n in grid.shape[1:]
        ]
        probes[cut - 1] = np.array([grid.shape[cut] // 2])
        # Indices [x, y, z, 1, 4] in the order x, y, z, t → [points, 4].
        points = np.stack(np.meshgrid(*probes, [frame], indexing="ij"), axis=-1).reshape(-1, 4)
        if not np.all(np.abs(await psi.read_points(points)) <= math.sqrt(MAX_VANISHING_SHARE * mean)):
            return {cut: grid.shape[cut] // 2}
    return {3: grid.shape[3] // 2}
