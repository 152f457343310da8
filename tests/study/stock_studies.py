"""Studies of all kinds, written by Optuna itself into its own storages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event


@contextmanager
def database(path: Path) -> Iterator[RDBStorage]:
    """A storage in a file of SQLite, which is in no hurry to be on the disk."""
    storage = RDBStorage(f"sqlite:///{path}")
    event.listen(
        storage.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF")
    )
    storage.engine.dispose()
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def write_many_kinds(storage: BaseStorage, name: str = "kinds") -> optuna.Study:
    """A study with every kind of parameter, value, attribute, report and state; one trial is left running."""
    study = optuna.create_study(storage=storage, study_name=name, directions=["maximize"])
    study.set_user_attr("who", {"nested": [1, None, "ψ", {"deep": math.inf}]})
    study.set_metric_names(["fidelity"])
    study.enqueue_trial({"x": 0.5}, user_attrs={"queued": True})

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        n = trial.suggest_int("n", 1, 64, log=True)
        kind = trial.suggest_categorical("kind", ["a", None, 3, True, 2.5])
        trial.suggest_float("step", -1, 1, step=0.25)
        trial.set_user_attr("again", 1)
        trial.set_user_attr("again", [x, {"n": n}])
        for step, value in enumerate((x, math.nan, math.inf, -math.inf)):
            trial.report(value, step)
        if trial.number == 2:
            raise optuna.TrialPruned
        if trial.number == 3:
            raise ArithmeticError
        return -math.inf if trial.number == 4 else x + n + (kind == "a")

    study.optimize(objective, n_trials=8, catch=(ArithmeticError,))
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=3.0, user_attrs={"added": math.nan}))
    study.enqueue_trial({"x": 0.25})
    for _ in range(2):
        study.ask().suggest_float("x", 0, 1)  # the first is that of the queue
    study.enqueue_trial({"x": 0.75})
    return study


def told(trials: list[FrozenTrial], *, ids: bool = True) -> list[dict[str, str]]:
    """All that trials hold, in a form in which NaN equals NaN, and attributes have no order."""
    return [
        {name: _text(value) for name, value in vars(trial).items() if ids or name != "_trial_id"}
        for trial in trials
    ]


def _text(value: Any) -> str:
    return repr(sorted(value.items(), key=repr) if isinstance(value, dict) else value)
