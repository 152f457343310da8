"""What a source of a wavefunction promises, and what it may offer besides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from ..lattice.grid import Box, Grid, Order


@runtime_checkable
class Source(Protocol):
    """Where ψ comes from. A source knows arrays only, nothing of keys, servers or tasks."""

    @property
    def spec(self) -> str:
        """The source as text, as it could be given on the command line."""
        ...

    @property
    def grid(self) -> Grid:
        """Shape and axes of the ψ that `read` yields."""
        ...

    @property
    def order(self) -> Order:
        """The order in which it is read fastest: "C" (z changes fastest) or "F" (t changes fastest)."""
        ...

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box: an array of `box.shape`, [t, x, y, z], complex64 or complex128.

        Native byte order; any strides. It is called from any worker thread, one call at a time
        unless the source says otherwise (`is_parallel`).
        Neither side writes to the array afterwards, so it may be a view.
        Raises InvalidInput if the data cannot be read.
        """
        ...

    def fingerprint(self) -> str:
        """A short text that is the same if, and only if, `read` would yield the same values.

        `--resume` compares it: a file that was changed since has another fingerprint.
        Raises InvalidInput if the source is gone.
        """
        ...

    def close(self) -> None:
        """Close files and memory maps. May be called twice."""
        ...


def identity(*facts: str, grid: Grid) -> str:
    """A fingerprint: the facts that decide the values of a source, with its grid, as one line."""
    return ";".join([*facts, f"grid={json.dumps(grid.to_json(), separators=(',', ':'))}"])


def is_parallel(source: Source) -> bool:
    """Whether its `read` may be called from several threads at once. Its attribute `parallel` says so, if it has one.

    Boxes are then read in any order. A source that does not say so is read in the order of the plan.
    """
    return bool(getattr(source, "parallel", False))


def copied_of(source: Source) -> Mapping[str, str]:
    """What the record of a copy says besides: `copy_of`, perhaps `created`. Its attribute `copied`, if it has one."""
    fields: Mapping[str, str] = getattr(source, "copied", {})
    return fields


def notes_of(source: Source) -> Mapping[str, float]:
    """Numbers for the report, known after the source was read. Its method `notes()` returns them, if it has one."""
    notes: Mapping[str, float] = getattr(source, "notes", dict)()
    return notes


def warnings_of(source: Source) -> Sequence[str]:
    """Warnings for the user before the source is read. Its method `warnings()` returns them, if it has one."""
    warnings: Sequence[str] = getattr(source, "warnings", list)()
    return warnings


def remarks_of(source: Source) -> Sequence[str]:
    """Warnings for the user after the source was read. Its method `remarks()` returns them, if it has one."""
    remarks: Sequence[str] = getattr(source, "remarks", list)()
    return remarks


def understood_of(source: Source) -> Mapping[str, str]:
    """How the source was understood, in words by subject. Its method `understood()` returns it, if it has one."""
    words: Mapping[str, str] = getattr(source, "understood", dict)()
    return words


def sample_of(source: Source, box: Box) -> NDArray[Any]:
    """Values over the box for an estimate of memory: those that it reads, or of the same size, which cost less.

    Its method `sample(box)` returns the latter, if it has one. Raises InvalidInput if the data cannot be read.
    """
    values: NDArray[Any] = getattr(source, "sample", source.read)(box)
    return values


def check_unchanged(source: Source) -> None:
    """Raises InvalidInput if the data is gone or was changed meanwhile, where it has a method `check_unchanged()`."""
    check = getattr(source, "check_unchanged", None)
    if check is not None:
        check()
