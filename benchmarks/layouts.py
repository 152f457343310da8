"""`python -m benchmarks layouts`: the layouts against each other, and tile against other ways to store blocks.

The points are those of a cube; slow contestants load a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from . import blobs, project
from .contest import Contestant, contest
from .options import keep, options
from .report import Figure, Summary, draw, summarise, table
from .servers import Kind, running
from .workload import Workload

ONE: Final = "qwf, flat in one hash by HSET"
FLAT, HSET, RESTORE, TILE = "qwf, flat", "qwf, packed by HSET", "qwf, packed", "qwf, tile"
PIPE: Final = "SET of 8 KiB, redis-cli --pipe"
ZARR: Final = "zarr-python, local directory"
DENSE: Final = 8_400_000
"""Points that a layout with a field a point loads: enough to show what the growth of one hash costs."""
SLOW: Final = 2_100_000

CONTESTANTS: Final = (
    Contestant(name=ONE, load=partial(project.engine, slab="all", write_mode="hset"), most=DENSE),
    Contestant(name=FLAT, load=project.engine, most=DENSE),
    Contestant(name=HSET, load=partial(project.engine, layout="packed", write_mode="hset"), most=SLOW),
    Contestant(name=RESTORE, load=partial(project.engine, layout="packed"), most=DENSE),
    Contestant(name=TILE, load=partial(project.engine, layout="tile")),
    Contestant(name=PIPE, load=blobs.redis_cli),
    Contestant(name="SET of 8 KiB, redis.asyncio", load=blobs.redis_asyncio),
    Contestant(name="SET of 8 KiB, coredis", load=blobs.coredis, most=DENSE // 2),
    Contestant(name="SET of 8 KiB, valkey-glide", load=blobs.valkey_glide, most=DENSE // 2),
    Contestant(name=ZARR, load=blobs.zarr_local, most=SLOW),
)


def figures(kind: Kind) -> list[Figure]:
    restored, tiles = {"valkey": (5, 0.75), "redis": (14, 0.9)}[kind]
    return [
        Figure(name="packed / flat in one hash by HSET", over=RESTORE, under=(ONE,), wanted=restored),
        Figure(name="packed by HSET / flat in one hash by HSET", over=HSET, under=(ONE,), wanted=1.0),
        Figure(name="tile / redis-cli --pipe, a SET a blob", over=TILE, under=(PIPE,), wanted=tiles),
        Figure(name="tile / zarr-python, local directory", over=TILE, under=(ZARR,), wanted=1),
        Figure(name="tile: million points a CPU-second of the client", over=TILE, of="client", wanted=80),
    ]


def main(arguments: Sequence[str]) -> None:
    asked = options("layouts", __doc__, arguments, points=256**3, rounds=3)
    work = Workload.packet(round(asked.points ** (1 / 3)))
    found: dict[str, Any] = {}
    drawn: dict[str, list[Summary]] = {}
    for kind in asked.kinds:
        with running(kind) as server:
            own = drawn[server.software] = summarise(contest(server, CONTESTANTS, work, asked.rounds), ONE)
            print(f"\n{server.software}, {work.points:,} points, {asked.rounds} rounds")
            print(table(own, figures(kind)))
            found[server.software] = {
                "contestants": [summary.to_json() for summary in own],
                "figures": [figure.to_json(own) for figure in figures(kind)],
            }
    keep(asked, "layouts", found)
    if asked.plot:
        draw(asked.plot, drawn)
