"""A study of 100,000 trials against one of 1,000: the rate of one process, and how long it takes to open them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, Final

from .servers import Kind, Running, place, running
from .study_filling import fill
from .study_jobs import Job, Place, close, crew, run

SMALL, LARGE = 1_000, 100_000
TRIALS: Final = 300
"""In each turn: few, so that the small study stays small."""

WANTED: Final = {"rate": 0.8, "opened": 2.0}


def size(kind: Kind, rounds: int) -> dict[str, Any]:
    """Fill both studies, then measure them in turn."""
    with ExitStack() as stack:
        jobs: dict[int, Job] = {}
        servers: dict[int, Running] = {}
        for trials in (SMALL, LARGE):
            servers[trials] = server = stack.enter_context(running(kind))
            empty = server.used_memory()
            directory = stack.enter_context(place())
            jobs[trials] = Job(
                storage="qwf", place=Place(url=server.url, directory=directory), seconds=None, trials=TRIALS
            )
            begun = time.monotonic()
            fill(jobs[trials], trials)
            taken = time.monotonic() - begun
            print(
                f"{trials:8,} trials made in {taken:.1f} s, {(server.used_memory() - empty) / trials:.0f} B each"
            )
        rates: dict[int, list[float]] = {SMALL: [], LARGE: []}
        opened: dict[int, list[tuple[float, float]]] = {SMALL: [], LARGE: []}
        for _ in range(rounds):
            for trials, job in jobs.items():
                rates[trials].append(run(job, 1).rate)
                opened[trials].append(_opening(job))
    ratio = median(large / small for small, large in zip(rates[SMALL], rates[LARGE], strict=True))
    seconds = median(first for first, _ in opened[LARGE])
    built = median(second for _, second in opened[LARGE])
    print(f"trials/s at {LARGE:,} / at {SMALL:,}: {ratio:.2f}, wanted at least {WANTED['rate']}")
    print(
        f"opened {LARGE:,} in {seconds:.2f} s, wanted at most {WANTED['opened']}; every trial made {built:.2f} s"
    )
    return {"rates": rates, "ratio": ratio, "opened": opened, "wanted": WANTED}


def _opening(job: Job) -> tuple[float, float]:
    """Seconds until a new process knows how many trials there are, and until it has made all of them."""
    with crew(_open, [(job,)]) as ((_, told),):
        told.send("go")
        return told.recv()  # type: ignore[no-any-return] # what _open tells


def _open(job: Job, told: Connection) -> None:
    told.send("ready")
    told.recv()
    begun = time.monotonic()
    storage = job.open()
    study = job.study(storage, 0)
    storage.get_n_trials(study._study_id)
    known = time.monotonic()
    study.get_trials(deepcopy=False)
    told.send((known - begun, time.monotonic() - begun))
    close(storage)
