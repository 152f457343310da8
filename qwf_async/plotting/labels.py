"""The texts on a picture: times, axes and the density, with their units."""

from __future__ import annotations

from collections.abc import Sequence

from ..lattice.grid import AXIS_NAMES, Grid
from ..lattice.position import position_label, unit_symbol
from ..lattice.unit_system import Quantity, system_of

IN_STEPS: dict[str, str] = {
    "length": "grid steps",
    "per length": "1/grid steps",
    "momentum": "ħ/step",
    "per momentum": "steps/ħ",
}


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


def title_of(
    name: str, grid: Grid, frame: int, cut: Sequence[int] = (), fixed: Sequence[int] = (0, 0, 0)
) -> str:
    """The name, the time of a frame if there are several or it is known, and the position of a cut."""
    words = [name]
    if grid.shape[0] > 1 or grid.axes[0].step is not None:
        words += [time_label(grid, frame)]
    return "   ".join([*words, *(position_label(grid, axis, fixed[axis - 1]) for axis in cut)])


def unit_along(grid: Grid, axis: int, quantity: Quantity) -> tuple[float, str]:
    """The value in atomic units, and the symbol, of the unit in which numbers along an axis are shown."""
    if grid.axes[axis].step is None and grid.shape[axis] > 1:
        return 1.0, IN_STEPS[quantity]
    return system_of(grid).unit(quantity)


def power(symbol: str, exponent: int) -> str:
    """A unit to a power, as in "bohr⁻²" or "(bohr/ħ)²"."""
    if exponent == 1:
        return symbol
    digits = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"({symbol}){digits}" if "/" in symbol else f"{symbol}{digits}"
