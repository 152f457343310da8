"""The texts on a picture: times, axes and the density, with their units."""

from __future__ import annotations

from ..lattice.grid import AXIS_NAMES, Grid
from ..lattice.position import position_label, unit_symbol


def time_label(grid: Grid, frame: int) -> str:
    """The time of a frame, as in "t = 0.5 ħ/Eh", or its number if the time step is not known."""
    return f"frame {frame}" if grid.axes[0].step is None else position_label(grid, 0, frame)


def axis_label(grid: Grid, axis: int) -> str:
    """The label of an axis: its name and unit."""
    a, name = grid.axes[axis], AXIS_NAMES[axis]
    if a.step is None and grid.shape[axis] > 1:
        return f"{name} (frame)" if axis == 0 else f"{name} (grid index)"
    return f"{name} ({unit_symbol(a.unit)})" if a.unit else name


def density_label(grid: Grid) -> str:
    """|ψ|² with its unit, which is known if all lengths are in bohr."""
    units = {
        grid.axes[axis].unit
        for axis in (1, 2, 3)
        if grid.shape[axis] > 1 and grid.axes[axis].step is not None
    }
    known = units == {"bohr"} and None not in [
        grid.axes[axis].step for axis in (1, 2, 3) if grid.shape[axis] > 1
    ]
    return f"|ψ|² (bohr⁻{'¹²³'[grid.dimensions - 1]})" if known else "|ψ|²"
