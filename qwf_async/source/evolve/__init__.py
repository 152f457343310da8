"""Time evolution: a state of another source, propagated in a potential as it is being stored."""

from __future__ import annotations

from .potentials import (
    Barrier,
    BoxTrap,
    DoubleSlit,
    Free,
    FunctionPotential,
    HarmonicTrap,
    Potential,
    SoftCoulomb,
    Step,
)
from .source import Evolve, evolve
from .text import read_potential

__all__ = [
    "Barrier",
    "BoxTrap",
    "DoubleSlit",
    "Evolve",
    "Free",
    "FunctionPotential",
    "HarmonicTrap",
    "Potential",
    "SoftCoulomb",
    "Step",
    "evolve",
    "read_potential",
]
