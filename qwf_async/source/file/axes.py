"""The axes of ψ by the coordinates that a file states, as far as nothing goes before them."""

from __future__ import annotations

from contextlib import suppress

from ...errors import InvalidInput
from ...grid import UNKNOWN_AXIS, Axis, Shape4
from .dims import LETTERS
from .variable import Variable

Axes = tuple[Axis, Axis, Axis, Axis]


def axes_of(part: Variable, letters: str, shape: Shape4, *, box: bool, dt: bool) -> Axes:
    """The axes t, x, y, z; unknown where no coordinate is stated.

    `box` and `dt` say that the extents and the time step are given: then a coordinate that
    they replace is not looked at, whatever is wrong with it. Raises InvalidInput for one
    that is needed and cannot be taken.
    """
    axes = []
    for letter, size in zip(LETTERS, shape, strict=True):
        given = dt if letter == "t" else box
        axis = UNKNOWN_AXIS
        if not given:
            axis = _axis(part, letters, letter)
        elif letter != "t" and size == 1:
            # An extent does not say where a single point lies: the file may, but need not be right.
            with suppress(InvalidInput):
                axis = _axis(part, letters, letter)
        axes.append(axis)
    t, x, y, z = axes
    return t, x, y, z


def _axis(part: Variable, letters: str, letter: str) -> Axis:
    place = letters.find(letter)
    if place < 0 or place not in part.coordinates:
        return UNKNOWN_AXIS
    what = f"the coordinate {part.names[place]} of {part.what}"
    coordinate = part.coordinates[place]
    if coordinate.values.shape != (part.shape[place],):
        raise InvalidInput(f"{what} has the shape {coordinate.values.shape}, not {part.shape[place]} points")
    return coordinate.axis(time=letter == "t", what=what)
