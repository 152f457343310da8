"""Observables: functions of an array ψ[t, x, y, z] and its grid, without a connection.

All are in Hartree atomic units (ħ = m_e = e = 1): lengths in bohr, momenta in ħ/bohr, energies in
Eh. The grid gives the positions; an axis of unknown spacing counts in grid steps (see
`geometry`). Expectation values are of the normalised state. A result has one item a frame, [t]; a
vector also has one item for each axis of the grid, [t, d].
"""

from __future__ import annotations

from .density import current, density, gradient, phase
from .energy import energy, interaction_energy, potential_energy
from .flux import flux
from .moments import Moments, marginal, moments, norm, position, position_variance
from .momentum import Momenta, kinetic_energy, momenta, momentum, momentum_variance
from .momentum_density import momentum_axis, momentum_density
from .overlap import autocorrelation, fidelity, overlap
from .region import probability_in
from .spectrum import Line, Spectrum, spectrum
from .value import of_value

__all__ = [
    "Line",
    "Momenta",
    "Moments",
    "Spectrum",
    "autocorrelation",
    "current",
    "density",
    "energy",
    "fidelity",
    "flux",
    "gradient",
    "interaction_energy",
    "kinetic_energy",
    "marginal",
    "momenta",
    "moments",
    "momentum",
    "momentum_axis",
    "momentum_density",
    "momentum_variance",
    "norm",
    "of_value",
    "overlap",
    "phase",
    "position",
    "position_variance",
    "potential_energy",
    "probability_in",
    "spectrum",
]
