"""A source whose axes are in another system of units; its values stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from numpy.typing import NDArray

from ..lattice.grid import AXIS_NAMES, Box, Grid, Order
from ..lattice.unit_system import UnitSystem
from .base import Source, notes_of, warnings_of

ENERGIES: Final = ("energy", "chemical_potential")
"""How the names of notes that are energies begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InUnits:
    """Another source with its axes in `units`; a Source. What else a source may offer is that of the other one.

    ψ stays in units of bohr^(−d/2). The text of the source is in atomic units, as it is without units.
    """

    source: Source
    units: UnitSystem
    grid: Grid

    @property
    def spec(self) -> str:
        return self.source.spec

    @property
    def order(self) -> Order:
        return self.source.order

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box."""
        return self.source.read(box)

    def fingerprint(self) -> str:
        """That of the source, and the units."""
        return f"{self.source.fingerprint()};units={self.units.name}"

    def notes(self) -> Mapping[str, float]:
        """Those of the source, energies and times in the units."""
        return {name: value / self._unit_of(name) for name, value in notes_of(self.source).items()}

    def close(self) -> None:
        """Close the source."""
        self.source.close()

    def warnings(self) -> Sequence[str]:
        """Those of the source, with the numbers of its advice in the units where it can tell them so."""
        in_units: Callable[[UnitSystem], Sequence[str]] | None = getattr(self.source, "warnings_in", None)
        return warnings_of(self.source) if in_units is None else in_units(self.units)

    def __getattr__(self, name: str) -> Any:
        if name in ("source", "units", "grid"):  # asked before they are set, as by copy
            raise AttributeError(name)
        return getattr(self.source, name)

    def _unit_of(self, note: str) -> float:
        if note.startswith(ENERGIES):
            return self.units.in_hartree
        return self.units.in_atomic_time if note.startswith("time") else 1.0


def in_units(source: Source, units: UnitSystem) -> InUnits:
    """A source with its axes in other units. Raises InvalidInput if the unit of an axis is not known."""
    grid = source.grid
    t, x, y, z = (units.axis(axis, name) for axis, name in zip(grid.axes, AXIS_NAMES, strict=True))
    return InUnits(source=source, units=units, grid=replace(grid, axes=(t, x, y, z)))
