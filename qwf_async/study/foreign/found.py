"""What was read from another storage of Optuna."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial


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
