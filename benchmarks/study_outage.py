"""A study of 30 processes whose server is killed, stays away for some seconds, and comes back with its file.

How long until the first trial that was begun after the kill is finished, how many trials a second are
finished while it is away (SQLite with synchronous FULL), and how long after the first answer of the new
server the last process is back on it.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, Final

import redis

from .servers import Kind, place, started
from .study_filling import fill
from .study_jobs import Job, Place, close, crew

WORKERS: Final = 30
BEFORE, AWAY, AFTER = 2.0, 6.0, 4.0
"""Seconds."""

WANTED: Final = {"first": 1.0, "rate": 100.0, "back": 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """What a worker did: when each trial was begun and finished, and whether the server was away then."""

    times: list[tuple[float, float, bool]]
    info: dict[str, Any]


def outage(kind: Kind, rounds: int) -> dict[str, Any]:
    found = [_round(kind) for _ in range(rounds)]
    told = {name: [each[name] for each in found] for name in found[0]}
    first, rate, back = (median(told[name]) for name in ("first", "rate", "back"))
    print(f"\n{WORKERS} processes, kill -9, {AWAY:.0f} s away")
    print(f"  first trial away after {first:.2f} s, wanted at most {WANTED['first']}")
    print(f"  {rate:.0f} trials/s while away, wanted at least {WANTED['rate']:.0f}")
    print(f"  all back {back:.2f} s after the first answer, wanted at most {WANTED['back']}")
    print(f"  longest trial {median(told['longest']):.2f} s; {told['lost']} acknowledged trials lost")
    return {"rounds": told, "wanted": WANTED}


def _round(kind: Kind) -> dict[str, Any]:
    with place() as directory, place() as host, started(kind, directory, append_only=True) as server:
        job = Job(storage="qwf", place=Place(url=server.url, directory=host))
        fill(job, 0)
        with crew(_work, [(job, number) for number in range(WORKERS)]) as members:
            for _, told in members:
                told.send("go")
            time.sleep(BEFORE)
            killed = time.monotonic()
            os.kill(server.pid, signal.SIGKILL)
            time.sleep(AWAY)
            with started(kind, directory, append_only=True) as again:
                while not _answers(again.control):
                    pass
                answered = time.monotonic()
                time.sleep(AFTER)
                for _, told in members:
                    told.send("stop")
                done: list[Trials] = [told.recv() for _, told in members]
                lost = _lost(job, done)
    away = [each for own in done for each in own.times if killed < each[0] and each[1] < answered]
    first = min(ended for _, ended, _ in away)
    backs = [
        min((end for begun, end, out in own.times if begun > answered and not out), default=float("inf"))
        for own in done
    ]
    return {
        "first": first - killed,
        "rate": len(away) / (answered - first),
        "back": max(backs) - answered,
        "longest": max(ended - begun for own in done for begun, ended, _ in own.times),
        "lost": lost,
        "infos": [own.info for own in done],
    }


def _answers(control: redis.Redis) -> bool:
    try:
        return bool(control.ping())
    except redis.exceptions.BusyLoadingError:
        return False


def _lost(job: Job, done: list[Trials]) -> int:
    """How many trials that returned are not in the study as a new process finds it."""
    storage = job.open()
    found = len([t for t in job.study(storage, 0).get_trials(deepcopy=False) if t.state.is_finished()])
    close(storage)
    return sum(len(own.times) for own in done) - found


def _work(job: Job, number: int, told: Connection) -> None:
    storage: Any = job.open()
    study = job.study(storage, number)
    told.send("ready")
    told.recv()
    times: list[tuple[float, float, bool]] = []
    while not told.poll():
        begun = time.monotonic()
        study.optimize(job.objective, n_trials=1)
        times.append((begun, time.monotonic(), storage.standing.mode != "online"))
    told.send(Trials(times=times, info=storage.get_storage_info()))
    close(storage)
