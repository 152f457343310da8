"""The text by which a source is known again."""

from __future__ import annotations

import json

from ..lattice.grid import Grid


def identity(*facts: str, grid: Grid) -> str:
    """The facts that decide the values of a source, with its grid, as one line."""
    return ";".join([*facts, f"grid={json.dumps(grid.to_json(), separators=(',', ':'))}"])
