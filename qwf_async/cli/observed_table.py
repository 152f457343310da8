"""Numbers as a table for people: as wide as the terminal, with units, and no more digits than say something."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ..observables.observed_columns import Column, Observation, converted, unit_of, without_noise

if TYPE_CHECKING:
    from ..lattice.unit_system import UnitSystem

DIGITS: Final = 6
"""Digits of the largest number of a column; the others have as many decimals."""

GAP: Final = "  "
LEADING: Final = ("frame", "time")
"""Columns that each block of a table begins with."""


def print_observation(observed: Observation, system: UnitSystem, steps: str) -> None:
    """Print the rows in the units of a system, `steps` being the axes that count in grid steps.

    A single frame is printed as a list. Columns that do not fit side by side follow as a block of their own.
    """
    _print(observed.said)
    rows = observed.rows if observed.shown is None else observed.shown
    if not rows:
        return
    columns = {name: observed.columns[name] for name in rows[0]}
    quiet = converted(without_noise(rows, columns, observed.rounding), columns, system, steps)
    units = {name: unit_of(column, system, steps)[1] for name, column in columns.items()}
    cells = {name: texts([row[name] for row in quiet]) for name in columns}
    lines = (
        as_list(columns, units, cells)
        if len(rows) == 1 and "frame" in columns
        else as_blocks(columns, units, cells, width=shutil.get_terminal_size((80, 24)).columns)
    )
    _print(lines)


def _print(lines: Sequence[str]) -> None:
    """Print lines of ours: what standard output cannot encode is escaped, which `echo` of click does not do."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def texts(values: Sequence[float | None]) -> list[str]:
    """The numbers of a column, all with as many decimals: 6 digits for the largest, fewer if those would be zeros."""
    sizes = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(sizes, default=0.0)
    if all(value is None or isinstance(value, int) for value in values):
        return ["-" if value is None else str(value) for value in values]
    if largest and not 1e-3 <= largest < 10**DIGITS:
        return ["-" if value is None else f"{value:.{DIGITS - 1}g}" for value in values]
    decimals = max(0, DIGITS - 1 - math.floor(math.log10(largest))) if largest else 0
    fixed = ["-" if value is None else f"{value + 0.0:.{decimals}f}" for value in values]
    fixed = [text.removeprefix("-") if not text.strip("-0.") and len(text) > 1 else text for text in fixed]
    needed = max((len(text.partition(".")[2].rstrip("0")) for text in fixed), default=0)
    cut = decimals - needed
    return [text[:-cut].removesuffix(".") if cut and "." in text else text for text in fixed]


def as_list(
    columns: Mapping[str, Column], units: Mapping[str, str], cells: Mapping[str, Sequence[str]]
) -> list[str]:
    """One row as lines of head, number and unit."""
    heads = max(len(column.head) for column in columns.values())
    size = max(len(cells[name][0]) for name in columns)
    return [
        f"{column.head:<{heads}}{GAP}{cells[name][0]:>{size}} {units[name] * (cells[name][0] != '-')}".rstrip()
        for name, column in columns.items()
    ]


def as_blocks(
    columns: Mapping[str, Column],
    units: Mapping[str, str],
    cells: Mapping[str, Sequence[str]],
    *,
    width: int,
) -> list[str]:
    """Rows as lines below heads and units, in blocks of at most `width`, or of one column beside the leading ones."""
    whole = {
        name: _aligned([column.head, units[name], *cells[name]]) for name, column in columns.items()
    }  # name → the lines of the column
    leading = [whole[name] for name in columns if name in LEADING]
    rest = [whole[name] for name in columns if name not in LEADING]
    blocks: list[list[list[str]]] = [[*leading]]
    for column in rest:
        if len(blocks[-1]) > len(leading) and _width([*blocks[-1], column]) > width:
            blocks.append([*leading])
        blocks[-1].append(column)
    lines: list[str] = []
    for number, block in enumerate(blocks):
        joined = [GAP.join(row).rstrip() for row in zip(*block, strict=True)]
        lines += [""] * bool(number) + [line for at, line in enumerate(joined) if line or at != 1]
    return lines


def _aligned(lines: Sequence[str]) -> list[str]:
    size = max(map(len, lines))
    return [f"{line:>{size}}" for line in lines]


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(len(column[0]) for column in columns) + len(GAP) * (len(columns) - 1)
