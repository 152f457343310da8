"""Eigenstates from their text, `eigen:potential=…,n=3` of the command line.

eigen:potential=harmonic,omega=2,n=3
eigen:potential=my_module:trap,n=5,mass=0.067

A parameter goes to the states themselves, or to the potential.
"""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

from ...errors import InvalidInput, UsageError
from ...lattice.grid import Grid
from ...lattice.unit_system import HARTREE, UnitSystem
from ...wording import option
from ..arguments import arguments, keys_of, words_of
from ..evolve.potentials import POTENTIALS, read_potential
from ..parameters import Interaction, Mass
from ..words import EIGEN
from .eigen import ACCURACY, Eigen, eigen


def read_eigen(text: str, points: Grid, units: UnitSystem = HARTREE) -> Eigen:
    """The states that the text after `eigen:` stands for, on a grid of these points.

    Numbers in the text are in `units`. Raises InvalidInput for a parameter that is unknown, or a
    value that cannot be read, UsageError for a time step.
    """
    if points.axes[0].step is not None:
        raise UsageError(f"{option('dt')} cannot be given for {EIGEN}: its frames are states, not times")
    words = words_of(EIGEN, text)
    kind = words.pop("potential", "harmonic")
    trap = POTENTIALS.get(kind)
    theirs = [key for each in fields(trap) for key in keys_of(each.name)] if trap else []
    own = inspect.signature(own_parameters).parameters
    if unknown := [key for key in words if key not in own and key not in theirs]:
        accepted = ", ".join([*own, *(each.name for each in fields(trap))] if trap else own)
        raise InvalidInput(
            f"{EIGEN} has no parameter {unknown[0]!r}; with this potential it takes potential, {accepted}"
        )
    options: dict[str, Any] = arguments(
        EIGEN, own_parameters, _joined(words, own), units=units, dimensions=points.dimensions
    )
    name = f"potential {kind}"
    potential = (
        trap(**arguments(name, trap, _joined(words, theirs), units=units)) if trap else read_potential(kind)
    )
    return eigen(points, potential, **options)


def own_parameters(
    *, n: int = 1, g: Interaction = 0.0, mass: Mass = None, accuracy: float = ACCURACY
) -> None:
    """The parameters that the states themselves have on the command line."""


def _joined(words: dict[str, str], keys: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in words.items() if key in keys)
