"""Physical coordinates of a user, as `x=-4.0,y=0`, and the grid points nearest to them.

Coordinates are in the units of the axes. Nothing is guessed: an axis whose spacing is not known
takes no coordinate, and one beyond the ends of an axis is refused. A periodic axis ends where it
begins again, so the last half step before that end belongs to its first point. Time is not periodic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from ..errors import InvalidInput, UsageError
from ..wording import phrase, quoted
from .grid import AXIS_NAMES, Grid

ROUNDING: Final = 1e-9
"""Share of a step that is rounding: a coordinate may lie so far beyond an end, and so near 0 it is 0."""


def read_coordinates(text: str) -> dict[int, float]:
    """Axis (0 to 3 are t, x, y, z) → coordinate, of a text like `x=-4.0,y=0,t=2.5`.

    Raises UsageError for another text, an axis that comes twice, and a number that is not finite.
    """
    coordinates: dict[int, float] = {}
    for word in text.split(","):
        name, equals, number = (part.strip() for part in word.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if (
            not equals
            or name not in AXIS_NAMES
            or AXIS_NAMES.index(name) in coordinates
            or not math.isfinite(value)
        ):
            raise UsageError(
                f"{quoted(text)} is no position: write x=-4.0,y=0 (x, y, z or t, each once, in the axis's own unit)"
            )
        coordinates[AXIS_NAMES.index(name)] = value
    return coordinates


def read_region(text: str) -> dict[int, tuple[float, float]]:
    """Axis (1 to 3 are x, y, z) → lowest and highest coordinate, of a text like `x=5:20,y=-2:`; no end is infinite.

    Raises UsageError for another text, an axis that comes twice, and an end that is no number.
    """
    region: dict[int, tuple[float, float]] = {}
    for word in text.split(","):
        name, equals, bounds = (part.strip() for part in word.partition("="))
        low, colon, high = (part.strip() for part in bounds.partition(":"))
        try:
            pair = (float(low or "-inf"), float(high or "inf"))
        except ValueError:
            pair = (math.nan, math.nan)
        if (
            not (equals and colon)
            or name not in AXIS_NAMES[1:]
            or AXIS_NAMES.index(name) in region
            or math.isnan(sum(map(abs, pair)))
        ):
            raise UsageError(
                f"{quoted(text)} is no region: write x=5:20,y=-2:2 (x, y or z, each once, in the axis's own unit)"
            )
        region[AXIS_NAMES.index(name)] = pair
    return region


def nearest_point(grid: Grid, coordinates: Mapping[int, float]) -> dict[int, int]:
    """Axis → the index of the grid point nearest to its coordinate, in the axis's unit.

    Raises InvalidInput for a coordinate outside the box, and for an axis without known spacing.
    """
    return {axis: _nearest(grid, axis, value) for axis, value in coordinates.items()}


def _nearest(grid: Grid, axis: int, value: float) -> int:
    a, size, name = grid.axes[axis], grid.shape[axis], AXIS_NAMES[axis]
    if a.step is None and size > 1:
        cure = phrase(command_line=f"give the index along {name}", python="give an index")
        raise InvalidInput(
            f"the spacing of axis {name} is not known, so no coordinate can be found on it: {cure}"
        )
    around = a.periodic and axis != 0 and size > 1
    step = a.step or 1.0  # an axis of one point may have none
    steps = (value - a.origin) / step
    end = size if around else size - 1
    if not -ROUNDING <= steps <= end + ROUNDING:
        unit = unit_symbol(a.unit)
        if end == 0:
            extent = f"{name} has one point, at {a.origin:.6g} {unit}"
        else:
            extent = f"{name} runs from {a.origin:.6g} to {a.origin + end * step:.6g} {unit}"
        raise InvalidInput(f"{name} = {value:g} is outside the grid: {extent.rstrip()}")
    return round(steps) % size


def position_text(grid: Grid, indices: Mapping[int, int]) -> str:
    """The points that were taken, as in "x = -4.02 bohr (index 213), y = 0 bohr (index 256)"."""
    return ", ".join(f"{position_label(grid, axis, i)} (index {i})" for axis, i in indices.items())


def position_label(grid: Grid, axis: int, index: int) -> str:
    """The coordinate of an index of an axis, as in "z = 1.5 bohr", or the index if the spacing is not known."""
    a = grid.axes[axis]
    if a.step is None and grid.shape[axis] > 1:
        return f"{AXIS_NAMES[axis]} index {index}"
    return f"{AXIS_NAMES[axis]} = {coordinate(grid, axis, index):.5g} {unit_symbol(a.unit)}".rstrip()


def coordinate(grid: Grid, axis: int, index: int) -> float:
    """The coordinate of an index of an axis, in the axis's unit; what is only rounding is 0."""
    a = grid.axes[axis]
    step = a.step or 0.0
    value = a.origin + index * step
    return 0.0 if abs(value) <= ROUNDING * step else value


def unit_symbol(unit: str | None) -> str:
    """The symbol of a unit."""
    return {"hbar/Eh": "ħ/Eh", None: ""}.get(unit, unit or "")
