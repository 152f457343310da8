"""Time evolution: the state of another source, propagated in a potential while it is being stored."""

from __future__ import annotations

from .evolution import Evolve
from .evolving import evolve
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
    read_potential,
)

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
