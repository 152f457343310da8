"""Systems of units in which people give and read numbers: Hartree atomic units, or eV, nm and fs.

Momenta are in ħ over the unit of length, and masses in electron masses, in both of them. Source:
CODATA recommended values of 2022: the Hartree energy is 27.211 386 245 981(30) eV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import UsageError
from ..wording import option, quoted
from .units import ANGSTROM, LENGTH, TIME, TIME_SECONDS

HARTREE_EV: Final = 27.211386245981
"""The Hartree energy Eh in eV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSystem:
    """Units of energy, length and time by their names on axes; `in_hartree` and so on are their values in atomic units.

    A number in these units times that value is the number in Eh, bohr or ħ/Eh.
    """

    name: str
    energy: str
    length: str
    time: str
    in_hartree: float = 1.0
    in_bohr: float = 1.0
    in_atomic_time: float = 1.0


HARTREE: Final = UnitSystem(name="hartree", energy="Eh", length=LENGTH, time=TIME)
EV_NM_FS: Final = UnitSystem(
    name="eV/nm/fs",
    energy="eV",
    length="nm",
    time="fs",
    in_hartree=1 / HARTREE_EV,
    in_bohr=10 * ANGSTROM,
    in_atomic_time=1e-15 / TIME_SECONDS,
)

UNIT_SYSTEMS: Final[Mapping[str, UnitSystem]] = {system.name: system for system in (HARTREE, EV_NM_FS)}
"""The systems by name, as the command line has them."""


def unit_system(name: str) -> UnitSystem:
    """The system of a name, in any case of letters. Raises UsageError for another name."""
    for system in UNIT_SYSTEMS.values():
        if system.name.casefold() == name.strip().casefold():
            return system
    raise UsageError(f"{option('units')} {quoted(name)} is none of {', '.join(UNIT_SYSTEMS)}")
