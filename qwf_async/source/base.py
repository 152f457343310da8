"""What a source of a wavefunction promises, and what it may offer besides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from ..lattice.grid import Box, Grid, Order


@runtime_checkable
class Source(Protocol):
    """Where ψ comes from. Sources know arrays only: nothing of keys, servers or tasks."""

    @property
    def spec(self) -> str:
        """The source as text, as it could be given on the command line."""
        ...

    @property
    def grid(self) -> Grid:
        """Shape and axes of what it yields."""
        ...

    @property
    def order(self) -> Order:
        """The order in which it is read best: "C" (z fastest) or "F" (t fastest)."""
        ...

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box: an array of `box.shape`, [t, x, y, z], complex64 or complex128.

        Native byte order; any strides. Called from a worker thread, one call at a time.
        The array is not written to afterwards by either side, so it may be a view.
        Raises InvalidInput if the data cannot be read.
        """
        ...

    def fingerprint(self) -> str:
        """A short text that is the same if, and only if, `read` would yield the same values.

        Compared by `--resume`: a file that was touched since has another fingerprint.
        Raises InvalidInput if the source is gone.
        """
        ...

    def close(self) -> None:
        """Give back files and maps. May be called twice."""
        ...


def identity(*facts: str, grid: Grid) -> str:
    """The facts that decide the values of a source, with its grid, as one line."""
    return ";".join([*facts, f"grid={json.dumps(grid.to_json(), separators=(',', ':'))}"])


def notes_of(source: Source) -> Mapping[str, float]:
    """Numbers for the report, known once the source was read: what its method `notes()` returns."""
    notes: Mapping[str, float] = getattr(source, "notes", dict)()
    return notes


def warnings_of(source: Source) -> Sequence[str]:
    """What the user is to be told before the source is read: what its method `warnings()` returns."""
    warnings: Sequence[str] = getattr(source, "warnings", list)()
    return warnings


def remarks_of(source: Source) -> Sequence[str]:
    """What the user is to be warned of once the source was read: what its method `remarks()` returns."""
    remarks: Sequence[str] = getattr(source, "remarks", list)()
    return remarks


def understood_of(source: Source) -> Mapping[str, str]:
    """What was made of a source, in words by subject: what its method `understood()` returns."""
    words: Mapping[str, str] = getattr(source, "understood", dict)()
    return words


def check_unchanged(source: Source) -> None:
    """Raises InvalidInput if what was read is gone or was changed meanwhile, as its method `check_unchanged()` does."""
    check = getattr(source, "check_unchanged", None)
    if check is not None:
        check()
