"""The texts on a picture: times, positions, axes and the density, with their units."""

from __future__ import annotations

from ..lattice.grid import AXIS_NAMES, Grid


def time_label(grid: Grid, frame: int) -> str:
    """The time of a frame, as in "t = 0.5 ħ/Eh", or its number if the time step is not known."""
    return f"frame {frame}" if grid.axes[0].step is None else position_label(grid, 0, frame)


def position_label(grid: Grid, axis: int, index: int) -> str:
    """The coordinate of an index of an axis, as in "z = 1.5 bohr", or the index if the spacing is not known."""
    a = grid.axes[axis]
    if a.step is None:
        return f"{AXIS_NAMES[axis]} index {index}"
    return f"{AXIS_NAMES[axis]} = {a.origin + index * a.step:.5g} {unit_symbol(a.unit)}".rstrip()


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


def unit_symbol(unit: str | None) -> str:
    """The symbol of a unit."""
    return {"hbar/Eh": "ħ/Eh", None: ""}.get(unit, unit or "")
