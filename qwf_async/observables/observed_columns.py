"""The columns of what `qwf observe` prints: what each number is, in what unit, and what it is rounding beside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..lattice.grid import Grid
    from ..lattice.unit_system import Quantity, UnitSystem

Row = Mapping[str, float | None]

IN_STEPS: Final[Mapping[str, str]] = {
    "length": "steps",
    "momentum": "ħ/step",
    "per length": "1/step",
    "per momentum": "steps/ħ",
    "energy": "",
}
"""Units along an axis whose spacing is not known, by quantity; other quantities keep theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its `head` for people, and what its numbers are.

    `beside` names the columns whose largest number says what is rounding in this one, this one
    among them. `axes` are those along which it is measured.
    """

    head: str
    quantity: Quantity = "number"
    beside: str = ""
    axes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was observed: rows of numbers in atomic units, and their columns by name.

    `rounding` is the share of a column's scale that is rounding of what is stored. `facts` go into JSON
    beside the rows, in the units that were asked for. `said` are lines before the table, and `shown`
    its rows for people, where they are others.
    """

    grid: Grid
    rows: Sequence[Row]
    columns: Mapping[str, Column]
    rounding: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    said: Sequence[str] = ()
    shown: Sequence[Row] | None = None


def columns_of(names: Sequence[str], **others: Column) -> dict[str, Column]:
    """The columns of these names, which are those of `Observed` and `Passing`, or `others`."""
    return {name: others[name] if name in others else COLUMNS[name] for name in names}


def unit_of(column: Column, system: UnitSystem, steps: str) -> tuple[float, str]:
    """The value of a column's unit in atomic units, and its symbol; `steps` are the axes that count in grid steps."""
    if set(column.axes) & set(steps):
        if column.quantity in IN_STEPS:
            return 1.0, IN_STEPS[column.quantity]
        return system.unit("number")
    return system.unit(column.quantity)


def converted(
    rows: Sequence[Row], columns: Mapping[str, Column], system: UnitSystem, steps: str
) -> list[Row]:
    """The rows with their numbers in the units of a system."""
    sizes = {name: unit_of(column, system, steps)[0] for name, column in columns.items()}
    return [
        {
            name: value if value is None or sizes[name] == 1 else value / sizes[name]
            for name, value in row.items()
        }
        for row in rows
    ]


def without_noise(rows: Sequence[Row], columns: Mapping[str, Column], rounding: float) -> list[Row]:
    """The rows, with 0 for numbers that are below the share `rounding` of the largest one beside which they stand."""
    scales: dict[str, float] = {}
    for name, column in columns.items():
        if column.beside:
            sizes = [abs(value) for row in rows if (value := row[name]) is not None and math.isfinite(value)]
            scales[column.beside] = max(scales.get(column.beside, 0.0), *sizes, 0.0)
    limits = {name: rounding * scales.get(column.beside, 0.0) for name, column in columns.items()}
    return [
        {
            name: 0.0 if value is not None and value and abs(value) < limits[name] else value
            for name, value in row.items()
        }
        for row in rows
    ]


def _of_axis(axis: str) -> dict[str, Column]:
    length, momentum = f"length {axis}", f"momentum {axis}"
    return {
        axis: Column(head=f"⟨{axis}⟩", quantity="length", beside=length, axes=axis),
        f"sigma_{axis}": Column(head=f"σ{axis}", quantity="length", beside=length, axes=axis),
        f"p_{axis}": Column(head=f"⟨p{axis}⟩", quantity="momentum", beside=momentum, axes=axis),
        f"sigma_p_{axis}": Column(head=f"σp{axis}", quantity="momentum", beside=momentum, axes=axis),
        f"sigma_{axis}_sigma_p_{axis}": Column(head=f"σ{axis}·σp{axis}", quantity="action"),
        f"k_{axis}": Column(head=f"k{axis}", quantity="momentum", beside=f"k_{axis}", axes=axis),
    }


COLUMNS: Final[Mapping[str, Column]] = {
    "frame": Column(head="frame"),
    "time": Column(head="time", quantity="time", beside="time"),
    "norm": Column(head="norm", beside="norm"),
    **_of_axis("x"),
    **_of_axis("y"),
    **_of_axis("z"),
    "kinetic": Column(head="⟨T⟩", quantity="energy", beside="energy", axes="xyz"),
    "potential": Column(head="⟨V⟩", quantity="energy", beside="energy", axes="xyz"),
    "interaction": Column(head="⟨g|ψ|²⟩/2", quantity="energy", beside="energy", axes="xyz"),
    "energy": Column(head="⟨H⟩", quantity="energy", beside="energy", axes="xyz"),
    "overlap_re": Column(head="Re⟨φ|ψ⟩", beside="norm"),
    "overlap_im": Column(head="Im⟨φ|ψ⟩", beside="norm"),
    "autocorrelation_re": Column(head="Re⟨ψ(0)|ψ⟩", beside="norm"),
    "autocorrelation_im": Column(head="Im⟨ψ(0)|ψ⟩", beside="norm"),
    "fidelity": Column(head="fidelity", beside="norm"),
    "left": Column(head="left", beside="norm"),
    "right": Column(head="right", beside="norm"),
    "within": Column(head="within", beside="norm"),
    "absorbed": Column(head="absorbed", beside="norm"),
    "flux": Column(head="flux", quantity="per time", beside="norm"),
}
"""Name of an observable in JSON and CSV → its column."""
