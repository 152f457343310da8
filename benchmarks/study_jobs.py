"""Worker processes that optimise one study together, on any storage, and what they cost."""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend

STUDY: Final = "bench"
IN_MEMORY: Final = "in memory"
FORKED: Final = multiprocessing.get_context("forkserver")
"""Workers are forked from a process that has imported Optuna, which takes longer than many a measurement."""

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a study lies: a server, and a directory of the host."""

    url: str
    directory: Path


def _own(place: Place) -> BaseStorage:
    from qwf_async.study import StudyStorage

    return StudyStorage(place.url, directory=place.directory / "host")


def _journal_redis(place: Place) -> BaseStorage:
    return JournalStorage(JournalRedisBackend(place.url))


def _journal_file(place: Place) -> BaseStorage:
    return JournalStorage(JournalFileBackend(str(place.directory / "journal")))


def _rdb(place: Place) -> BaseStorage:
    return RDBStorage(
        f"sqlite:///{place.directory / 'rdb'}", engine_kwargs={"connect_args": {"timeout": 100}}
    )


def _in_memory(place: Place) -> BaseStorage:
    return optuna.storages.InMemoryStorage()


STORAGES: Final[dict[str, Callable[[Place], BaseStorage]]] = {
    "qwf": _own,
    "JournalRedis": _journal_redis,
    "JournalFile": _journal_file,
    "RDB, SQLite": _rdb,
    IN_MEMORY: _in_memory,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What each worker does: trials of a study for so many seconds, or so many trials.

    The objective costs nothing: it suggests `parameters` floats, and makes `reports` reports, asking
    each time whether to stop.
    """

    storage: str
    place: Place
    seconds: float | None = 3.0
    trials: int | None = None
    parameters: int = 1
    reports: int = 0
    sampler: str = "random"

    def open(self) -> BaseStorage:
        return STORAGES[self.storage](self.place)

    def study(self, storage: BaseStorage, seed: int) -> optuna.Study:
        kinds: dict[str, type[BaseSampler]] = {"random": RandomSampler, "tpe": TPESampler}
        sampler = kinds[self.sampler](seed=seed)  # type: ignore[call-arg] # both have it
        if self.storage == IN_MEMORY:
            create(storage)
        return optuna.load_study(study_name=STUDY, storage=storage, sampler=sampler, pruner=NopPruner())

    def objective(self, trial: optuna.Trial) -> float:
        values = [trial.suggest_float(f"x{number}", 0, 1) for number in range(self.parameters)]
        for step in range(self.reports):
            trial.report(values[0], step)
            trial.should_prune()
        return values[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one worker did. `begun` and `ended` by the machine's monotonic clock; CPU of the worker alone."""

    trials: int
    begun: float
    ended: float
    cpu_seconds: float
    opening_seconds: float
    info: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What all workers did."""

    trials: int
    seconds: float
    cpu_seconds: float
    infos: tuple[dict[str, Any], ...]

    @property
    def rate(self) -> float:
        """Trials a second, from the first worker's beginning to the last one's end."""
        return self.trials / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the workers' CPU time a trial."""
        return 1000 * self.cpu_seconds / max(1, self.trials)


def create(storage: BaseStorage) -> int:
    """Make the study, empty; returns its id."""
    return optuna.create_study(study_name=STUDY, storage=storage)._study_id


def close(storage: BaseStorage) -> None:
    """Close a storage of ours; the others have nothing to close."""
    getattr(storage, "close", lambda: None)()


def optimise(job: Job, number: int, told: Connection) -> None:
    """A worker: open the study, say so, wait for the word, work, and tell what was done."""
    begun = time.monotonic()
    storage = job.open()
    study = job.study(storage, number)
    opening_seconds = time.monotonic() - begun
    made = 0

    def objective(trial: optuna.Trial) -> float:
        nonlocal made
        value = job.objective(trial)
        made += 1
        return value

    told.send("ready")
    told.recv()
    cpu, begun = time.process_time(), time.monotonic()
    study.optimize(objective, timeout=job.seconds, n_trials=job.trials)
    ended = time.monotonic()
    info: dict[str, Any] = getattr(storage, "get_storage_info", dict)()
    told.send(
        Done(
            trials=made,
            begun=begun,
            ended=ended,
            cpu_seconds=time.process_time() - cpu,
            opening_seconds=opening_seconds,
            info=info,
        )
    )
    close(storage)


Member = tuple[BaseProcess, Connection]


@contextmanager
def crew(work: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> Iterator[list[Member]]:
    """Processes that run `work(*arguments, connection)`; each has said that it is ready. Killed at the end."""
    FORKED.set_forkserver_preload(["benchmarks.study_jobs", "redis", "sqlalchemy", "qwf_async.study.storage"])
    members: list[Member] = []
    try:
        for own in arguments:
            ours, theirs = FORKED.Pipe()
            process: BaseProcess = FORKED.Process(target=work, args=(*own, theirs), daemon=True)
            process.start()
            theirs.close()
            members.append((process, ours))
        for _, told in members:
            told.recv()
        yield members
    finally:
        for process, told in members:
            told.close()
            process.join(5)
            process.kill()
            process.join()


def run(job: Job, workers: int) -> Together:
    """So many workers at once, on a study that is there."""
    with crew(optimise, [(job, os.getpid() + number) for number in range(workers)]) as members:
        for _, told in members:
            told.send("go")
        done: list[Done] = [told.recv() for _, told in members]
    return Together(
        trials=sum(each.trials for each in done),
        seconds=max(each.ended for each in done) - min(each.begun for each in done),
        cpu_seconds=sum(each.cpu_seconds for each in done),
        infos=tuple(each.info for each in done),
    )
