"""`python -m benchmarks flat`: one hash of a field a point, loaded by this project and by others.

On one server, in rounds. In each round every contestant loads an emptied server once, in
an order shuffled anew; a ratio is taken within a round, and the median of the ratios is
what is reported. Rates here vary by a third from one minute to the next, ratios do not.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from . import peers, project
from .report import Figure, Run, Summary, draw, environment, summarise, table
from .servers import Kind, Running, running
from .workload import Workload

PIPES = ("redis-cli --pipe, 512 a command", "redis-cli --pipe, one a command")
ENGINE = "qwf engine, c16"
OLD = "one HSET a point, pipelines of 1000, text"
REDIS_PY = ("redis-py, hset(mapping)", "redis.asyncio, 8 tasks")

FIGURES = (
    Figure(name="engine / redis-cli --pipe", over=ENGINE, under=PIPES, wanted=0.95),
    Figure(name="engine / the old way", over=ENGINE, under=(OLD,), wanted=10),
    Figure(name="engine / the best of redis-py", over=ENGINE, under=REDIS_PY, wanted=3),
)
"""Against the best of several in the same round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Who loads, and which share of the grid.

    The old way loads a part, or it would take half of a round. A smaller hash is if
    anything loaded faster, so this does not flatter the project.
    """

    name: str
    load: Callable[[Running, Workload], float]
    share: float = 1.0


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    work = Workload.packet(round(options.points ** (1 / 3)))
    measured_in = environment()
    kinds: tuple[Kind, ...] = get_args(Kind) if options.server == "both" else (options.server,)
    with tempfile.TemporaryDirectory(prefix="qwf-bench-") as directory:
        contestants = _contestants(work, Path(directory))
        servers = {}
        for kind in kinds:
            with running(kind) as server:
                summaries = summarise(_rounds(server, contestants, work, options.rounds), PIPES)
                servers[server.software] = summaries
                print(f"\n{server.software}, {work.points:,} points, {options.rounds} rounds")
                print(table(summaries, FIGURES))
    if options.json:
        results = {
            "benchmark": "flat",
            "shape": list(work.psi.shape),
            "points": work.points,
            "rounds": options.rounds,
            "environment": measured_in,
            "servers": {software: _to_json(summaries) for software, summaries in servers.items()},
        }
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.plot:
        draw(options.plot, servers)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks flat", description=__doc__)
    parser.add_argument("--points", type=_count, default=2_000_000, help="points of the grid, about (a cube)")
    parser.add_argument("--rounds", type=_count, default=5)
    parser.add_argument("--server", choices=[*get_args(Kind), "both"], default="valkey")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there (png, svg, pdf)")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    """A number of 1 or more, as `2000000` or as `2e6`."""
    number = int(float(text))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _contestants(work: Workload, directory: Path) -> list[Contestant]:
    pipes = []
    for name, fields in zip(PIPES, (512, 1), strict=True):
        file = directory / f"{fields}.resp"
        work.write_requests(file, fields)
        pipes.append(Contestant(name=name, load=partial(peers.redis_cli, requests=file)))
    return [
        *pipes,
        Contestant(name=ENGINE, load=partial(project.engine, codec="c16")),
        Contestant(name="qwf engine, text10", load=partial(project.engine, codec="text10")),
        Contestant(name="qwf ingest, whole process", load=project.process),
        Contestant(name=OLD, load=peers.old_way, share=1 / 4),
        Contestant(name=REDIS_PY[0], load=peers.redis_py),
        Contestant(name=f"{REDIS_PY[0]}, made beforehand", load=peers.redis_py_ready),
        Contestant(name=REDIS_PY[1], load=peers.redis_asyncio),
        Contestant(name="coredis, 8 tasks", load=peers.coredis),
        Contestant(name="valkey-glide, 8 tasks", load=peers.valkey_glide),
    ]


def _rounds(server: Running, contestants: list[Contestant], work: Workload, rounds: int) -> list[Run]:
    """All runs of all rounds, after one round whose figures are thrown away: it pays for imports."""
    runs = []
    for number in range(-1, rounds):
        order = contestants.copy()
        random.Random(number).shuffle(order)
        for contestant in order:
            run = _run(server, contestant, work.part(contestant.share), number)
            if number >= 0:
                runs.append(run)
        print(f"{server.software}: round {number + 1} of {rounds} done", flush=True)
    return runs


def _run(server: Running, contestant: Contestant, work: Workload, number: int) -> Run:
    empty = server.empty()
    seconds = contestant.load(server, work)
    taken = server.used_memory() - empty
    fields = server.fields_of_largest_hash()
    assert fields == work.points, f"{contestant.name} stored {fields} of {work.points} points"
    return Run(
        contestant=contestant.name, number=number, points=work.points, seconds=seconds, server_bytes=taken
    )


def _to_json(summaries: Sequence[Summary]) -> dict[str, Any]:
    return {
        "contestants": [summary.to_json() for summary in summaries],
        "figures": [figure.to_json(summaries) for figure in FIGURES],
    }
