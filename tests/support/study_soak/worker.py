"""A worker of the soak: one trial after the other on a storage, each call written down before and after."""

from __future__ import annotations

import random
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import optuna
import redis
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, JournalStorage, fail_stale_trials
from optuna.storages.journal import JournalRedisBackend
from optuna.trial import TrialState

from tests.support.study_soak.journal import Journal

T = TypeVar("T")

STUDY: Final = "soak"
CALM: Final = 0.2
"""Seconds that a worker waits after an error before it goes on."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host of the soak: a name, how it reaches the server, and its directory."""

    name: str
    url: str
    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One process. Its `threads` share a storage, and each has a journal of its own."""

    name: str
    host: Host
    journals: Path
    seed: int
    storage: Literal["own", "stock"] = "own"
    threads: int = 1
    pause: float = 0.0


def open_storage(host: Host, kind: str) -> BaseStorage:
    """The storage under test, or Optuna's own on the same server."""
    if kind == "stock":
        backend = JournalRedisBackend(host.url)
        backend._redis = redis.Redis.from_url(host.url, socket_timeout=1, socket_connect_timeout=1)
        return JournalStorage(backend)
    from qwf_async.study import StudyStorage

    return StudyStorage(host.url, directory=host.directory, heartbeat_interval=60)


def work(worker: Worker, told: Connection) -> None:
    """Optimise until something is said, or the other end is gone."""
    warnings.simplefilter("ignore")
    stopped = threading.Event()
    storage = _patiently(lambda: open_storage(worker.host, worker.storage), told)
    if storage is None:
        return
    threads = [
        threading.Thread(target=_optimise, args=(worker, number, storage, stopped))
        for number in range(worker.threads)
    ]
    for thread in threads:
        thread.start()
    told.send("ready")
    told.poll(None)
    stopped.set()
    for thread in threads:
        thread.join()
    with suppress(AttributeError):
        storage.close()  # type: ignore[attr-defined] # Optuna's own have nothing to close


def _patiently(job: Callable[[], T], told: Connection) -> T | None:
    """The result of a job, tried until it succeeds or something is said."""
    while not told.poll():
        try:
            return job()
        except Exception:  # noqa: BLE001 # a server that is away, in the words of either storage
            time.sleep(CALM)
    return None


def _optimise(worker: Worker, number: int, storage: BaseStorage, stopped: threading.Event) -> None:
    name = worker.name if worker.threads == 1 else f"{worker.name}t{number}"
    chance = random.Random(f"{worker.seed} {name}")
    calls = Calls(Journal(worker.journals / name))
    sampler = RandomSampler(seed=chance.randrange(2**32))
    count = 0
    study: optuna.Study | None = None
    while not stopped.is_set():
        count += 1
        try:
            if study is None:
                load = partial(
                    optuna.load_study, study_name=STUDY, storage=storage, sampler=sampler, pruner=NopPruner()
                )
                study = calls.call("open", count, None, load, lambda _: None)
            _one_trial(study, calls, count, chance)
        except Exception as error:  # noqa: BLE001 # each is in the journal, and judged there
            calls.note(count, error)
            stopped.wait(CALM)
        stopped.wait(worker.pause * chance.random())
    calls.journal.close()


class Calls:
    """Calls, each with its two lines in the journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._noted: BaseException | None = None

    def call(self, kind: str, trial: int, content: Any, job: Callable[[], T], show: Callable[[T], Any]) -> T:
        number = self.journal.about(kind, trial, content)
        try:
            answer = job()
            shown = show(answer)
        except Exception as error:
            self.journal.failed(number, error)
            self._noted = error
            raise
        self.journal.done(number, shown)
        return answer

    def note(self, trial: int, error: BaseException) -> None:
        """Write an error down that came between the calls."""
        if error is not self._noted:
            self.journal.failed(self.journal.about("else", trial), error)


def _one_trial(study: optuna.Study, calls: Calls, count: int, chance: random.Random) -> None:
    def nothing(answer: object) -> None:
        return None

    draw = chance.random()
    if draw < 0.02:
        x = chance.random()
        calls.call("enqueue", count, x, lambda: study.enqueue_trial({"x": x}), nothing)
    elif draw < 0.04:
        calls.call("reap", count, None, lambda: fail_stale_trials(study), nothing)
    trial = calls.call("ask", count, None, study.ask, lambda trial: [trial._trial_id, trial.number])
    for name in ("x", "y")[: chance.randint(1, 2)]:
        calls.call("param", count, name, partial(trial.suggest_float, name, 0, 1), lambda value: value)
    for step in range(chance.choice([0, 0, 1, 3])):
        value = chance.random()
        calls.call("report", count, [step, value], partial(trial.report, value, step), nothing)
    if chance.random() < 0.3:
        mark = chance.randrange(2**40)
        calls.call("attr", count, ["mark", mark], partial(trial.set_user_attr, "mark", mark), nothing)
    draw = chance.random()
    state = TrialState.FAIL if draw < 0.05 else TrialState.PRUNED if draw < 0.1 else TrialState.COMPLETE
    value = chance.random()
    values = [value] if state == TrialState.COMPLETE else None
    calls.call("tell", count, [state.name, values], partial(study.tell, trial, values, state), nothing)
