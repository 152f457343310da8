"""`python -m benchmarks layouts`: the layouts against each other, and tile against other ways to store blocks.

On one server, in rounds, as in `flat`: a ratio is taken within a round. The points are
those of a cube; slow contestants load a part of it. `--scale` measures instead whether the
cost of the dense layouts grows linearly.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from . import blobs, project, scaling
from .report import Figure, Run, Summary, draw, environment, summarise, table
from .servers import Kind, Running, running
from .workload import Workload

FLAT = "qwf flat"
HSET = "qwf packed, by HSET"
RESTORE = "qwf packed, by RESTORE"
TILE = "qwf tile"
SETS = (
    "SET of 8 KiB, redis-cli --pipe",
    "SET of 8 KiB, redis.asyncio",
    "SET of 8 KiB, coredis",
    "SET of 8 KiB, valkey-glide",
)
ZARR = "zarr-python, local directory"
WANTED: dict[Kind, tuple[float, float]] = {"valkey": (1.0, 4), "redis": (1.8, 12)}
"""Packed over flat: by HSET, by RESTORE."""

MEMORY = {HSET: 26, RESTORE: 26, TILE: 21}
"""Bytes a point at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Who loads, and which share of the grid: as much as takes a second or so."""

    name: str
    load: Callable[[Running, Workload], float]
    share: float = 1.0


CONTESTANTS = (
    Contestant(name=FLAT, load=partial(project.engine, layout="flat"), share=1 / 16),
    Contestant(name=HSET, load=partial(project.engine, layout="packed", write_mode="hset"), share=1 / 16),
    Contestant(
        name=RESTORE, load=partial(project.engine, layout="packed", write_mode="restore"), share=1 / 2
    ),
    Contestant(name=TILE, load=partial(project.engine, layout="tile")),
    Contestant(name=SETS[0], load=blobs.redis_cli),
    Contestant(name=SETS[1], load=blobs.redis_asyncio),
    Contestant(name=SETS[2], load=blobs.coredis, share=1 / 4),
    Contestant(name=SETS[3], load=blobs.valkey_glide, share=1 / 4),
    Contestant(name=ZARR, load=blobs.zarr_local, share=1 / 8),
)


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    measured_in = environment()
    kinds: tuple[Kind, ...] = get_args(Kind) if options.server == "both" else (options.server,)
    results: dict[str, Any] = {}
    summaries: dict[str, list[Summary]] = {}
    scaled: dict[str, list[scaling.Point]] = {}
    for kind in kinds:
        with running(kind) as server:
            if options.scale:
                found = scaled[server.software] = scaling.measure(server, options.rounds, options.points)
                results[server.software] = [point.to_json() for point in found]
                print(f"\n{server.software}\n{scaling.table(found)}")
                continue
            work = Workload.packet(round(options.points ** (1 / 3)))
            own = summaries[server.software] = summarise(_rounds(server, work, options.rounds), (FLAT,))
            figures = _figures(kind)
            results[server.software] = {
                "contestants": [summary.to_json() for summary in own],
                "figures": [figure.to_json(own) for figure in figures],
            }
            print(f"\n{server.software}, {work.points:,} points, {options.rounds} rounds")
            print(table(own, figures))
            print(_memory(own))
    if options.json:
        kept = {"benchmark": "layouts", "scale": options.scale, "rounds": options.rounds}
        options.json.write_text(
            json.dumps({**kept, "environment": measured_in, "servers": results}, indent=1) + "\n"
        )
    if options.plot and options.scale:
        scaling.draw(options.plot, scaled)
    elif options.plot:
        draw(options.plot, summaries)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks layouts", description=__doc__)
    parser.add_argument("--scale", action="store_true", help="sizes of the dense layouts from 1e6 points on")
    parser.add_argument(
        "--points", type=lambda text: int(float(text)), help="points of the grid, or of the largest size"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=[*get_args(Kind), "both"], default="both")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there (png, svg, pdf)")
    options = parser.parse_args(arguments)
    options.points = options.points or (10**8 if options.scale else 256**3)
    return options


def _figures(kind: Kind) -> list[Figure]:
    by_hset, by_restore = WANTED[kind]
    return [
        Figure(name="packed by HSET / flat", over=HSET, under=(FLAT,), wanted=by_hset),
        Figure(name="packed by RESTORE / flat", over=RESTORE, under=(FLAT,), wanted=by_restore),
        Figure(name="tile / the fastest SET of blobs", over=TILE, under=SETS, wanted=0.7),
        Figure(name="tile / zarr-python, local directory", over=TILE, under=(ZARR,), wanted=1),
    ]


def _memory(summaries: Sequence[Summary]) -> str:
    found = {summary.contestant: summary.bytes_per_point for summary in summaries}
    return "\n".join(
        f"{f'{name}, bytes a point':42} {found[name]:6.2f}   wanted: at most {most}"
        for name, most in MEMORY.items()
    )


def _rounds(server: Running, work: Workload, rounds: int) -> list[Run]:
    """All runs of all rounds, after a small one whose figures are thrown away: it pays for imports."""
    for contestant in CONTESTANTS:
        _run(server, contestant, work.part(1 / 64), -1)
    runs = []
    for number in range(rounds):
        order = list(CONTESTANTS)
        random.Random(number).shuffle(order)
        runs += [_run(server, contestant, work.part(contestant.share), number) for contestant in order]
        rates = {run.contestant: f"{run.points / run.seconds / 1e6:.2f}" for run in runs[-len(order) :]}
        print(f"{server.software}: round {number + 1} of {rounds}, million points/s: {rates}", flush=True)
    return runs


def _run(server: Running, contestant: Contestant, work: Workload, number: int) -> Run:
    empty = server.empty()
    seconds = contestant.load(server, work)
    taken = server.used_memory() - empty
    return Run(
        contestant=contestant.name, number=number, points=work.points, seconds=seconds, server_bytes=taken
    )
