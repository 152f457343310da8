"""Systems of units in which people give and read numbers: Hartree atomic units, or eV, nm and fs.

Momenta are in ħ over the unit of length, and masses in electron masses, in both of them. Source:
CODATA recommended values of 2022: the Hartree energy is 27.211 386 245 981(30) eV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from ..errors import UsageError
from ..wording import option, quoted
from .grid import Axis, Grid
from .units import ANGSTROM, LENGTH, TIME, TIME_SECONDS

HARTREE_EV: Final = 27.211386245981
"""The Hartree energy Eh in eV."""


Quantity = Literal[
    "number", "energy", "length", "time", "momentum", "action",
    "per energy", "per length", "per time", "per momentum",
]  # fmt: skip
"""What a number is, which says in what units it is."""


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

    def unit(self, quantity: Quantity) -> tuple[float, str]:
        """The value of the unit of a quantity in atomic units, and its symbol; the symbol of a number is empty."""
        time = {TIME: "ħ/Eh"}.get(self.time, self.time)
        units: Mapping[Quantity, tuple[float, str]] = {
            "number": (1.0, ""),
            "energy": (self.in_hartree, self.energy),
            "length": (self.in_bohr, self.length),
            "time": (self.in_atomic_time, time),
            "momentum": (1 / self.in_bohr, f"ħ/{self.length}"),
            "action": (1.0, "ħ"),
            "per energy": (1 / self.in_hartree, f"1/{self.energy}"),
            "per length": (1 / self.in_bohr, f"1/{self.length}"),
            "per time": (1 / self.in_atomic_time, {"ħ/Eh": "Eh/ħ"}.get(time, f"1/{time}")),
            "per momentum": (self.in_bohr, f"{self.length}/ħ"),
        }
        return units[quantity]

    def in_atomic_units(self, quantity: Quantity | Literal["interaction"], dimensions: int) -> float:
        """The value of the unit of a quantity in atomic units.

        An interaction is an energy times a volume of so many dimensions.
        """
        if quantity == "interaction":
            return self.in_hartree * self.in_bohr**dimensions
        return self.unit(quantity)[0]

    def axis(self, axis: Axis, name: str) -> Axis:
        """An axis in these units; as it is if it has no step. Raises as `Axis.in_atomic_units`."""
        atomic = axis.in_atomic_units(name)
        if self is HARTREE or axis.step is None or atomic.step is None:
            return axis
        factor, unit = (self.in_atomic_time, self.time) if name == "t" else (self.in_bohr, self.length)
        return replace(atomic, origin=atomic.origin / factor, step=atomic.step / factor, unit=unit)


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


def system_of(grid: Grid, name: str | None = None) -> UnitSystem:
    """The system of a name; without one, that of the axes: eV, nm and fs where all lengths are in nm.

    Raises as `unit_system`.
    """
    if name is not None:
        return unit_system(name)
    axes = zip(grid.axes[1:], grid.shape[1:], strict=True)
    units = {axis.unit for axis, points in axes if points > 1 and axis.step is not None}
    return EV_NM_FS if units == {EV_NM_FS.length} else HARTREE


def unit_system(name: str) -> UnitSystem:
    """The system of a name, in any case of letters. Raises UsageError for another name."""
    for system in UNIT_SYSTEMS.values():
        if system.name.casefold() == name.strip().casefold():
            return system
    raise UsageError(f"{option('units')} {quoted(name)} is none of {', '.join(UNIT_SYSTEMS)}")
