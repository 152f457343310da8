"""The attribute of an array that says the mass of the particle, where it is not an electron."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from ...errors import InvalidInput
from ...lattice.grid import Grid
from .packing import Attributes

MASS: Final = "convention_mass"
"""The attribute's name, our own: what other programs call a mass may be in another unit."""


def mass_attribute(grid: Grid) -> dict[str, float]:
    """The attribute of ψ on a grid; none for an electron."""
    return {} if grid.mass == 1 else {MASS: grid.mass}


def mass_of(attributes: Attributes, what: str) -> float:
    """The mass in electron masses, 1 if no attribute says one. Raises InvalidInput, naming `what`, if it is none."""
    value: Any = attributes.get(MASS)
    if value is None:
        return 1.0
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "fiu" or not 0 < float(number.reshape(())) < math.inf:
        raise InvalidInput(
            f"{what}: {MASS} must be one number above 0, in electron masses, not {value!r:.40}"
        )
    return float(number.reshape(()))
