"""Studies that hold many trials before a measurement begins, made by the fastest road of each storage.

JournalRedis gets a log and a snapshot as it leaves them itself, written by a pipeline: it opens a
study by its snapshot. Every other storage is given whole trials, one after the other.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import redis
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState

from .study_jobs import Job, close, create

BEGUN = datetime(2026, 11, 27)  # Optuna's times are naive


class _Kept(BaseJournalBackend):
    """A journal in memory."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs += logs


def fill(job: Job, trials: int) -> None:
    """Make the study, with so many finished trials of one parameter."""
    if job.storage == "JournalRedis":
        _fill_journal(job.place.url, trials)
        return
    storage = job.open()
    _add(storage, create(storage), trials)
    close(storage)


def _add(storage: BaseStorage, study_id: int, trials: int) -> None:
    for number in range(trials):
        storage.create_new_trial(study_id, template_trial=_trial(number))


def _trial(number: int) -> FrozenTrial:
    x = number * 0.618033988749895 % 1
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.COMPLETE,
        value=x,
        datetime_start=BEGUN,
        datetime_complete=BEGUN + timedelta(milliseconds=1),
        params={"x0": x},
        distributions={"x0": FloatDistribution(0, 1)},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _fill_journal(url: str, trials: int) -> None:
    kept = _Kept()
    storage = JournalStorage(kept)
    _add(storage, create(storage), trials)
    with redis.Redis.from_url(url) as server:
        pipeline = server.pipeline(transaction=False)
        for number, log in enumerate(kept.logs):
            pipeline.set(f":log:{number}", json.dumps(log))
            if number % 10_000 == 9_999:
                pipeline.execute()
        pipeline.set(":log_number", len(kept.logs) - 1)
        pipeline.set(":snapshot", pickle.dumps(storage._replay_result))
        pipeline.execute()
