"""States of which ψ is known in closed form, at any time, by their names on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from .formula import Analytic
from .free import gaussian, plane
from .hydrogen import hydrogen
from .oscillator import coherent, harmonic
from .well import box

STATES: Final[Mapping[str, Callable[..., Analytic]]] = {
    "box": box,
    "coherent": coherent,
    "gaussian": gaussian,
    "harmonic": harmonic,
    "hydrogen": hydrogen,
    "plane": plane,
}
"""Analytic states by name. Their parameters are read off their signatures."""

__all__ = ["STATES", "Analytic", "box", "coherent", "gaussian", "harmonic", "hydrogen", "plane"]
