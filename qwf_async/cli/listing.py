"""What `qwf ls` prints: a row for each name, and beneath it what there is to know of its load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from ..human import age, share, size

if TYPE_CHECKING:
    from ..store.listing import Entry

WIDTH: Final = 80
"""Columns of a terminal, which rows do not exceed unless a name alone is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A name with what the server has of it, if anything, and the spools that have a load of it."""

    name: str
    entry: Entry | None
    spools: Sequence[str]

    @property
    def state(self) -> str:
        """Published, or what has become of its load."""
        state = "interrupted" if self.entry is None else self.entry.state
        return "spooled" if state == "interrupted" and self.spools else state

    @property
    def nbytes(self) -> int | None:
        return None if self.entry is None else self.entry.nbytes

    @property
    def age(self) -> float | None:
        return None if self.entry is None else self.entry.age

    def to_json(self) -> dict[str, Any]:
        """Raw numbers: bytes, seconds, shares of 1."""
        manifest = self.entry and self.entry.manifest
        load = self.entry and self.entry.load
        return {
            "name": self.name,
            "state": self.state,
            "generation": manifest and manifest.generation,
            "layout": manifest and manifest.form.layout,
            "codec": manifest and manifest.form.codec,
            "shape": manifest and list(manifest.grid.shape),
            "points": manifest and manifest.points,
            "bytes": self.nbytes,
            "norm": manifest and manifest.norm,
            "created": manifest and manifest.created,
            "age_seconds": self.age,
            "note": self.entry and self.entry.note,
            "load": load and load.to_json(),
            "spools": list(self.spools),
        }

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of its row."""
        load = self.entry and self.entry.load
        manifest = self.entry and (self.entry.manifest or (load and load.manifest))
        state = self.state
        if state in ("loading", "interrupted") and load:
            state = f"{state} {share(load.done)}"
        return (
            self.name,
            "×".join(map(str, manifest.grid.shape)) if manifest else "-",
            manifest.form.layout if manifest else "-",
            manifest.form.codec if manifest else "-",
            "-" if self.nbytes is None else size(self.nbytes),
            "-" if self.age is None else age(self.age).removesuffix(" ago"),
            state,
        )

    @property
    def notes(self) -> Iterator[str]:
        """What there is to know besides, a sentence each."""
        load = self.entry and self.entry.load
        if self.entry and load is None and self.entry.note:
            yield self.entry.note
        if load and load.held:
            new = "" if self.state == "loading" else f"a new load, {share(load.done)} done, is under way "
            yield f"{new}by {load.owner}"
        elif load and not self.spools:
            new = "" if self.state == "interrupted" else f"a new load stopped at {share(load.done)}; "
            yield f"{new}the same qwf ingest with --resume goes on, with --discard it begins anew"
        for path in self.spools:
            yield f"what waits in {path} goes on with: qwf resume {self.name}"


HEADS: Final = ("name", "shape", "layout", "codec", "≈ memory", "age", "state")
RIGHT: Final = (4, 5)
"""Columns of numbers, which are aligned at their right."""

ORDERS: Final[Mapping[str, Callable[[Listed], Any]]] = {
    "name": lambda one: one.name,
    "size": lambda one: (-(one.nbytes or 0), one.name),
    "age": lambda one: (float("inf") if one.age is None else one.age, one.name),
}


def lines_of(listed: Sequence[Listed]) -> Iterator[str]:
    """The lines of the table, with its heads; none if nothing is listed."""
    if not listed:
        return
    rows = [HEADS, *(one.cells for one in listed)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    widths[0] = max(len(HEADS[0]), min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(HEADS) - 1)))
    for number, row in enumerate(rows):
        first, *others = row
        if len(first) > widths[0]:  # a name is shown whole, on a line of its own
            yield first
            first = ""
        cells = [first, *others]
        yield "  ".join(
            cell.rjust(width) if column in RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        if number:
            for note in listed[number - 1].notes:
                yield from wrap(
                    note, WIDTH, initial_indent="  ", subsequent_indent="  ",
                    break_long_words=False, break_on_hyphens=False,
                )  # fmt: skip
