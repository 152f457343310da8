"""The axes of ψ by the coordinates that its file states, unless the user states them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from ...errors import InvalidInput
from ...lattice.grid import UNKNOWN_AXIS, Axis, Shape4
from ...wording import option
from .coordinate import Coordinate
from .dims import LETTERS, Lengths
from .variable import AxisArray, Variable

Axes = tuple[Axis, Axis, Axis, Axis]


def axes_of(part: Variable, letters: str, shape: Shape4, *, box: bool, dt: bool) -> Axes:
    """The axes t, x, y, z; an axis is unknown where no coordinate is stated.

    `box` and `dt` say that the extents and the time step are given: then a coordinate that they
    replace is not looked at, whatever is wrong with it. Raises InvalidInput for a coordinate
    that is needed and cannot be used.
    """
    axes = []
    for letter, size in zip(LETTERS, shape, strict=True):
        given = dt if letter == "t" else box
        axis = UNKNOWN_AXIS
        if not given:
            axis = _axis(part, letters, letter, size)
        elif letter != "t" and size == 1:
            # An extent does not say where a single point is: the file may say it, but need not be right.
            with suppress(InvalidInput):
                axis = _axis(part, letters, letter, size)
        axes.append(axis)
    t, x, y, z = axes
    return t, x, y, z


def axis_lengths(part: Variable) -> Lengths:
    """How many points the arrays beside ψ have, by the letters of their axes."""
    lengths: dict[str, frozenset[int]] = {}
    for array in part.axis_arrays:
        lengths[array.letter] = lengths.get(array.letter, frozenset()) | {array.length}
    return lengths


def axis_arrays_for(part: Variable, letters: str, letter: str, size: int) -> Sequence[AxisArray]:
    """The arrays beside ψ that are one of its axes: none if the dimension has a coordinate of its own."""
    if letters.find(letter) in part.coordinates:
        return ()
    return [array for array in part.axis_arrays if array.letter == letter and array.length == size]


def _axis(part: Variable, letters: str, letter: str, size: int) -> Axis:
    dimension = letters.find(letter)
    if dimension in part.coordinates:
        what = f"the coordinate {part.names[dimension]} of {part.what}"
        coordinate = part.coordinates[dimension]
        if coordinate.values.shape != (size,):
            raise InvalidInput(f"{what} has the shape {coordinate.values.shape}, not {size} points")
        return coordinate.axis(time=letter == "t", what=what)
    arrays = axis_arrays_for(part, letters, letter, size)
    if not arrays:
        return UNKNOWN_AXIS
    coordinates = [array.read() for array in arrays]
    if not all(_same(coordinates[0], other) for other in coordinates[1:]):
        raise InvalidInput(
            f"{' and '.join(array.what for array in arrays)} could be the axis {letter} of {part.what}, and differ: "
            f"say where its points lie by {option('dt' if letter == 't' else 'box')}"
        )
    return coordinates[0].axis(time=letter == "t", what=f"{arrays[0].what}, which lies beside {part.what},")


def _same(a: Coordinate, b: Coordinate) -> bool:
    return a.unit == b.unit and np.array_equal(a.values, b.values)
