"""Trials whose job is dead, ended as failed, and perhaps enqueued again."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any, Protocol

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState


class Watched(Protocol):
    """What is needed of a storage that knows which jobs are dead. The names are Optuna's."""

    def _get_stale_trial_ids(self, study_id: int) -> list[int]: ...

    def set_trial_state_values(self, trial_id: int, state: TrialState) -> bool: ...

    def get_trial(self, trial_id: int) -> FrozenTrial: ...


def reap(storage: Watched, study: optuna.Study, *, retry: bool) -> list[FrozenTrial]:
    """The trials of a study that were running and whose jobs are dead: they are FAIL now.

    With `retry`, a trial with the same parameters is enqueued for each of them. It knows the numbers
    of those before it, as those of Optuna's own retries do.
    """
    reaped = []
    for trial_id in storage._get_stale_trial_ids(study._study_id):
        try:
            ended = storage.set_trial_state_values(trial_id, TrialState.FAIL)
        except UpdateFinishedTrialError:  # somebody else was quicker
            continue
        if ended:
            reaped.append(deepcopy(storage.get_trial(trial_id)))
    if retry:
        enqueue_again = _retry()
        for trial in reaped:
            enqueue_again(study, trial)
    return reaped


def _retry() -> Any:
    """Optuna's own callback, which had another name before Optuna 4.9."""
    names = ("RetryHeartbeatStaleTrialCallback", "RetryFailedTrialCallback")
    kind = next(getattr(optuna.storages, name) for name in names if hasattr(optuna.storages, name))
    with warnings.catch_warnings(category=optuna.exceptions.ExperimentalWarning, action="ignore"):
        return kind()
