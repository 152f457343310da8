"""What was read from another storage of Optuna."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

_NOTES: Final = 10


@dataclass(slots=True, kw_only=True)
class ForeignStudy:
    """A study of another storage. Its trials are in the order of their numbers, under the ids that they have there."""

    name: str
    directions: list[StudyDirection]
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    trials: list[FrozenTrial] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The studies of a storage, in the order in which they were begun, and what the user must know of the reading."""

    studies: list[ForeignStudy]
    notes: list[str]

    def noting(self, notes: list[str]) -> Found:
        """The same, with more notes: of many of a kind the first ten."""
        more = [f"and {len(notes) - _NOTES:,} more are like that"] if len(notes) > _NOTES else []
        return replace(self, notes=[*self.notes, *notes[:_NOTES], *more])
