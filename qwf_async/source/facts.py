"""What a source can say beyond its promise: its methods are optional, and a source that lacks one says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .base import Source


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
