"""Pictures, marginals and expectations read from a stored wavefunction: only the points that are shown are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from ..lattice.grid import AXIS_NAMES
from ..lattice.unit_system import system_of
from ..observables.geometry import coordinates, in_steps, spatial_axes
from ..store.frame_boxes import Done, numbers_of
from ..store.observing import marginals_opened, observe_opened
from ..store.wavefunction import Wavefunction
from .curves import Curve, Curves, Expectations
from .labels import axis_label, title_of, unit_along
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
    fixed = await chosen_cut(psi, frames[0], fixed)
    view = plan_view(grid, frames=frames, fixed=fixed, max_points=max_points)
    dtype = psi.dtype if len(view.frames) == 1 else np.dtype(np.complex64)
    values = np.empty(view.selection.shape, dtype)
    with np.errstate(over="ignore"):  # values beyond complex64 are shown as not finite
        await psi.read_selection(view.selection, values, done=done)
    return Picture(name=psi.name, view=view, psi=values)


async def read_marginals(psi: Wavefunction, frame: int = 0) -> Curves:
    """The probability density along each axis at one frame. All of its points are read, chunk by chunk."""
    grid = psi.manifest.grid
    (frame,) = numbers_of(grid, [frame])
    curves = []
    for axis, rho in enumerate(await marginals_opened(psi, frame), start=1):
        name, (length, unit), (share, per) = (
            AXIS_NAMES[axis],
            unit_along(grid, axis, "length"),
            unit_along(grid, axis, "per length"),
        )
        curves.append(
            Curve(
                x_label=f"{name} ({unit})",
                y_label=f"ρ({name}) ({per})",
                x=coordinates(grid, axis, 0, len(rho)) / length,
                y=rho / share,
            )
        )
    title = title_of(psi.name, grid, frame) if grid.shape[0] > 1 else psi.name
    return Curves(title=title, curves=tuple(curves), in_steps=in_steps(grid))


async def read_expectations(psi: Wavefunction, *, done: Done = lambda points: None) -> Expectations:
    """⟨x⟩, σ and norm of all frames. All points are read, chunk by chunk."""
    grid = psi.manifest.grid
    rows = [row async for row in observe_opened(psi, sums_only=True, done=done)]
    time, symbol = system_of(grid).unit("time")
    known = grid.axes[0].step is not None
    units = [unit_along(grid, axis, "length") for axis in spatial_axes(grid)]
    sizes = np.array([size for size, _ in units])  # [d], which divides [frames, d]
    return Expectations(
        name=psi.name,
        time_label=f"t ({symbol})" if known else axis_label(grid, 0),
        times=np.array([row.frame if row.time is None else row.time / time for row in rows], np.float64),
        mean=np.array([row.position for row in rows]) / sizes,
        sigma=np.array([row.position_sigma for row in rows]) / sizes,
        norm=np.array([row.norm for row in rows]),
        units=tuple(symbol for _, symbol in units),
        in_steps=in_steps(grid),
    )


async def chosen_cut(
    psi: Wavefunction, frame: int, fixed: Mapping[int, int] | None
) -> Mapping[int, int] | None:
    """`fixed`; or if it says nothing of a state of three dimensions, a middle where ψ does not vanish."""
    if fixed or min(psi.manifest.grid.shape[1:]) == 1:
        return fixed
    return await _middle(psi, frame)


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
