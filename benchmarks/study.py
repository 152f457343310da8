"""`python -m benchmarks study`: studies on this project's storage and on Optuna's own, in turn on one server.

The objective costs nothing and the sampler is a random one, so the storage is what is measured. Workers are
processes that have opened the study before the time begins. In each round all contestants take a turn, in an
order shuffled anew, on an emptied server; a ratio is taken within a round. A turn takes a given time, so a
slow contestant has a shorter study, which if anything is in its favour.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, get_args

import optuna

from .report import environment
from .servers import Kind, Running, running
from .study_filling import fill
from .study_jobs import IN_MEMORY, STORAGES, Job, Place, Together, run
from .study_outage import outage
from .study_size import size


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Contestants in turn. `wanted`: peer → at least this ratio of the rates, ours to the peer's.

    `filled` trials are in the study before. `job` is what differs from the default job.
    """

    about: str
    workers: int
    wanted: dict[str, float]
    filled: int = 0
    job: dict[str, Any] = field(default_factory=dict)


RACES: Final = {
    "one": Race(about="1 process", workers=1, wanted={"JournalRedis": 3, "JournalFile": 1}),
    "eight": Race(
        about="8 processes", workers=8, wanted={"JournalRedis": 4, "JournalFile": 1, "RDB, SQLite": 10}
    ),
    "many": Race(about="32 processes", workers=32, wanted={"JournalRedis": 6, "JournalFile": 1}),
    "full": Race(
        about="8 processes, 50,000 trials there", workers=8, wanted={"JournalRedis": 6}, filled=50_000
    ),
    "wide": Race(
        about="10 parameters, 1 process", workers=1, wanted={"JournalRedis": 5}, job={"parameters": 10}
    ),
    "reports": Race(
        about="50 reports a trial, 8 processes", workers=8, wanted={"JournalRedis": 4}, job={"reports": 50}
    ),
    "tpe": Race(
        about="TPE, 1 process, 1,000 trials",
        workers=1,
        wanted={IN_MEMORY: 1 / 1.1},
        job={"sampler": "tpe", "trials": 1000, "seconds": None},
    ),
}
OTHERS: Final = {"size": size, "outage": outage}
"""Parts that are no race: what each measures is told where it is defined."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks study", description=__doc__)
    parser.add_argument("--part", choices=[*RACES, *OTHERS], action="append", help="all of them by default")
    parser.add_argument("--rounds", type=int, default=3, help="3 by default")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn; 3 by default")
    parser.add_argument(
        "--only", choices=list(STORAGES), action="append", help="all that there are by default"
    )
    parser.add_argument("--server", choices=get_args(Kind), default="valkey", help="valkey by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the races there (png, svg, pdf)")
    asked = parser.parse_args(arguments)
    found: dict[str, Any] = {}
    for part in asked.part or [*RACES, *OTHERS]:
        if part in RACES:
            with running(asked.server) as server:
                found[part] = _race(server, RACES[part], asked)
        else:
            found[part] = OTHERS[part](asked.server, asked.rounds)
    if asked.json:
        kept = {
            "benchmark": "study",
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "server": asked.server,
            "environment": environment(),
            "optuna": optuna.__version__,
            "parts": found,
        }
        asked.json.write_text(json.dumps(kept, indent=1) + "\n")
    if asked.plot:
        _draw(asked.plot, {RACES[part].about: rows for part, rows in found.items() if part in RACES})


def _race(server: Running, race: Race, asked: argparse.Namespace) -> dict[str, Any]:
    """Contestant → its figures in every round."""
    names = [name for name in ["qwf", *race.wanted] if name in (asked.only or STORAGES)]
    rounds: dict[str, list[Together]] = {name: [] for name in names}
    memory: dict[str, list[float]] = {name: [] for name in rounds}
    for number in range(asked.rounds):
        for name in random.Random(number).sample(list(rounds), len(rounds)):
            together, grown = _turn(server, race, name, asked.seconds)
            rounds[name].append(together)
            memory[name].append(grown / together.trials)
    print(f"\n{race.about} ({server.software})")
    rows = {
        name: {
            "rates": [each.rate for each in turns],
            "client_ms": [each.cpu_ms for each in turns],
            "bytes": memory[name],
        }
        for name, turns in rounds.items()
    }
    for name, row in rows.items():
        line = f"  {name:14} {median(row['rates']):9.1f} trials/s  {median(row['client_ms']):7.2f} ms CPU a trial"
        line += f" {median(row['bytes']):7.0f} B a trial"
        if name != "qwf" and "qwf" in rows:
            ratios = [own / peer for own, peer in zip(rows["qwf"]["rates"], row["rates"], strict=True)]
            row["ratios"], row["wanted"] = ratios, [race.wanted[name]]
            mark = "" if median(ratios) >= race.wanted[name] else "   MISSED"
            line += f"   qwf / this {median(ratios):6.2f}, wanted at least {race.wanted[name]:.2f}{mark}"
        print(line, flush=True)
    return rows


def _turn(server: Running, race: Race, name: str, seconds: float) -> tuple[Together, int]:
    """One contestant's turn on an emptied server, and the growth of its `used_memory` in bytes."""
    with TemporaryDirectory(prefix="qwf-bench-") as directory:
        server.empty()
        how = {"seconds": seconds} | race.job
        job = Job(storage=name, place=Place(url=server.url, directory=Path(directory)), **how)
        fill(job, race.filled)
        empty = server.used_memory()
        together = run(job, race.workers)
        return together, server.used_memory() - empty


def _draw(path: Path, races: dict[str, dict[str, Any]]) -> None:
    """One panel a race: a bar for each contestant's median, a dot for each round."""
    from matplotlib.figure import Figure as Picture

    picture = Picture(
        figsize=(9, 1 + sum(0.5 + 0.35 * len(rows) for rows in races.values())), layout="constrained"
    )
    panels = picture.subplots(len(races), 1, squeeze=False)[:, 0]
    for panel, (about, rows) in zip(panels, races.items(), strict=True):
        colours = ["C0" if name == "qwf" else "0.8" for name in rows]
        panel.barh(list(rows), [median(row["rates"]) for row in rows.values()], color=colours)
        for name, row in rows.items():
            panel.plot(row["rates"], [name] * len(row["rates"]), "k.", markersize=4)
        panel.invert_yaxis()
        panel.set_title(about, loc="left")
    panels[-1].set_xlabel("trials/s (bar: median, dots: rounds)")
    picture.savefig(path)
