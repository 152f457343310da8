"""What tests of fail-over share: servers that keep what they acknowledged, storages of hosts, and jobs in processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial

from qwf_async.study.storage import StudyStorage
from tests.support.waiting import wait_until

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Told(NamedTuple):
    """A trial as a job was told of it: the number that it was shown, its id, and the value that was acknowledged."""

    number: int
    trial_id: int
    value: float | None


def study_of(storage: StudyStorage) -> optuna.Study:
    return optuna.create_study(storage=storage, study_name="s", load_if_exists=True)


def mode(storage: StudyStorage) -> str:
    return str(storage.get_storage_status()["mode"])


def when_back(*storages: StudyStorage) -> None:
    wait_until(lambda: all(storage.standing.mode == "online" for storage in storages))


def copied(storage: StudyStorage) -> None:
    """Wait until the file of the host has all that the server has."""
    (study,) = storage.open_studies()
    wait_until(lambda: study.file.copy.end()[0] >= study.known.position)


def on_server(url: str, directory: Path) -> list[FrozenTrial]:
    """The study as one reads it who knows nothing."""
    storage = StudyStorage(url, directory=directory)
    trials = optuna.load_study(study_name="s", storage=storage).trials
    storage.close()
    return trials


def job(url: str, directory: Path, notes: Path, *, until: Callable[[], bool], pause: float = 0.0) -> int:
    """A process that runs trials until it is told to end, and notes what was acknowledged. Its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        said = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        storage = StudyStorage(url, directory=directory)
        study = study_of(storage)
        while not until():
            trial = study.ask()
            os.write(said, b"%d %d\n" % (trial.number, trial._trial_id))
            value = trial.suggest_float("x", 0, 1)
            study.tell(trial, value)
            os.write(said, b"%d %d %.17g\n" % (trial.number, trial._trial_id, value))
            time.sleep(pause)
        storage.close()
        status = 0
    finally:
        os._exit(status)


def told(*notes: Path) -> list[Told]:
    """What jobs noted, the last word on each trial."""
    found: dict[int, Told] = {}
    for line in (line for file in notes for line in file.read_text().splitlines()):
        number, trial_id, *value = line.split()
        found[int(trial_id)] = Told(int(number), int(trial_id), float(value[0]) if value else None)
    return list(found.values())
