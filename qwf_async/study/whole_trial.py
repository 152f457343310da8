"""A trial as one record: what an entry of kind M holds after its first four fields, and a FrozenTrial of it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

Parameter = tuple[str, float, str]
"""Name, internal value, and the distribution as text."""

_STATES = {int(state): state for state in TrialState}

distribution_of = lru_cache(maxsize=4096)(json_to_distribution)
"""The distribution that a text describes. Distributions do not change, so trials may share one."""


def record_of(trial: FrozenTrial, number: int | None = None, owner: int | None = None) -> tuple[Any, ...]:
    """What an entry of kind M holds of a trial, with the number and the owner that it is to have there."""
    return (
        number,
        int(trial.state),
        trial.values,
        _text_of(trial.datetime_start),
        _text_of(trial.datetime_complete),
        [
            [name, distribution.to_internal_repr(trial.params[name]), distribution_to_json(distribution)]
            for name, distribution in trial.distributions.items()
        ],
        trial.user_attrs,
        trial.system_attrs,
        list(trial.intermediate_values.items()),
        owner,
    )


def trial_from(record: list[Any], trial_id: int, number: int) -> FrozenTrial:
    """The trial that a record holds."""
    _, state, values, begin, end, parameters, user, system, reports, _ = record
    distributions = {name: distribution_of(text) for name, _, text in parameters}
    return FrozenTrial(
        number=number,
        state=_STATES[state],
        value=None,
        values=values,
        datetime_start=time_of(begin),
        datetime_complete=time_of(end),
        params={name: distributions[name].to_external_repr(value) for name, value, _ in parameters},
        distributions=distributions,
        user_attrs=user,
        system_attrs=system,
        intermediate_values=dict(reports),
        trial_id=trial_id,
    )


def time_of(text: str | None) -> datetime | None:
    """The time that a text of an entry gives."""
    return None if text is None else datetime.fromisoformat(text)


def _text_of(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
