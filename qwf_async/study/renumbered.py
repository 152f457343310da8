"""Trials that go to another study: what names them by id or number there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from optuna.trial import FrozenTrial

from .trial_record import ASKED_AS
from .whole_trial import record_of

_PARENTS: Final = re.compile(r".+:parent:\d+")
"""Attributes of a study in which genetic samplers keep the ids of a generation's parents (`BaseGASampler`)."""


def numbered_record(trial: FrozenTrial, number: int) -> tuple[Any, ...]:
    """The record of a trial under a number. If it had another, that is kept in an attribute."""
    record = list(record_of(trial, number))
    if trial.number != number:
        record[7] = {**trial.system_attrs, ASKED_AS: trial.number}
    return tuple(record)


def with_parents(system_attrs: Mapping[str, Any], ids: Mapping[int, int]) -> dict[str, Any]:
    """A study's system attributes, in which parents have the ids that `ids` gives for those they had.

    A parent that is not among the trials is left out: no sampler would find it.
    """
    return {
        name: [ids[parent] for parent in value if parent in ids] if _are_parents(name, value) else value
        for name, value in system_attrs.items()
    }


def _are_parents(name: str, value: Any) -> bool:
    return (
        bool(_PARENTS.fullmatch(name)) and isinstance(value, list) and all(type(one) is int for one in value)
    )
