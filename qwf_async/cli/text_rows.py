"""Rows of text for a view of any width: facts that flow over lines, and cells under each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from ..wording import printable

GAP: Final = 2
"""Columns between two cells; between two facts one more."""

LEAST: Final = 12
"""Columns that the first cell of a row keeps, at least."""

Cell = str | tuple[str, str]
"""A text, perhaps with the style that it is shown in."""


def text_of(cell: Cell) -> Text:
    """The text without characters that would move the cursor, in its style."""
    words, style = (cell, "") if isinstance(cell, str) else cell
    return Text(printable(words), style, no_wrap=True, end="")


def flowing(facts: Sequence[Cell], width: int) -> list[Text]:
    """Facts one after the other, in as many lines of `width` columns as they take."""
    lines: list[Text] = []
    for fact in map(text_of, facts):
        if lines and lines[-1].cell_len + GAP + 1 + fact.cell_len <= width:
            lines[-1].append(" " * (GAP + 1)).append_text(fact)
        else:
            lines.append(Text(no_wrap=True, end="").append_text(fact))  # so that the fact's style is its own
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def aligned(
    rows: Sequence[Sequence[Cell]],
    width: int,
    *,
    right: Sequence[int] = (),
    spare: Sequence[int] = (),
    least: int = LEAST,
) -> list[Text]:
    """Rows of cells in columns, those in `right` aligned there.

    Where there is no room, the `spare` columns are left out, then others from the last one on, until the
    first one has its width, or `least` columns.
    """
    if not rows:
        return []
    table = [[text_of(cell) for cell in row] for row in rows]
    widths = {column: max(row[column].cell_len for row in table) for column in range(len(table[0]))}
    for column in (*spare, *reversed(range(1, len(table[0])))):
        if sum(widths.values()) - widths[0] + GAP * (len(widths) - 1) + min(least, widths[0]) <= width:
            break
        widths.pop(column, None)
    widths[0] = max(1, min(widths[0], width - sum(widths.values()) + widths[0] - GAP * (len(widths) - 1)))
    lines = []
    for row in table:
        line = Text(no_wrap=True, end="")
        for column, size in widths.items():
            cell = row[column]
            cell.truncate(size, overflow="ellipsis")
            space = " " * (size - cell.cell_len)
            line.append(" " * GAP if column else "")
            line.append_text(Text(space) + cell if column in right else cell + Text(space))
        line.rstrip()
        lines.append(line)
    return lines
