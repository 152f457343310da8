"""`python -m benchmarks cluster_read`: reading from one server, three nodes, three shards and 192 virtual nodes.

The same wavefunction lies everywhere, in every layout. In each round, everything, a plane across all
chunks, and points that lie anywhere are read in every layout from everywhere, in turn. What the servers and the
virtual nodes are, `cluster` says.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

import anyio
import numpy as np

from qwf_async.ingesting.ingestion import ingest
from qwf_async.layout import LAYOUTS
from qwf_async.source import array
from qwf_async.store.wavefunction import Wavefunction

from .cluster import CPU, PARTS, WHERE, settings_for
from .cost import Clock, Cost
from .fleet import Fleet, fleet, store_at
from .options import keep, options
from .report import Figure, Run, Summary, summarise, table
from .workload import Workload

SCATTERED: Final = 10_000
"""Points that lie anywhere, read together."""


def main(arguments: Sequence[str]) -> None:
    asked = options("cluster_read", __doc__, arguments, points=128**3, rounds=5, parts=tuple(PARTS))
    work = Workload.packet(round(asked.points ** (1 / 3)))
    found: dict[str, Any] = {}
    for kind in asked.kinds:
        with fleet(kind) as servers:
            job = partial(_rounds, servers, work, asked.parts, asked.rounds)
            tasks = anyio.run(job, backend_options={"use_uvloop": True})
            print(f"\n{servers.software}, {work.points:,} points, {asked.rounds} rounds")
            for task, summaries in tasks.items():
                print(f"\n{task}\n{table(summaries, _figures(asked.parts))}")
            found[servers.software] = {
                task: {
                    "contestants": [summary.to_json() for summary in summaries],
                    "figures": [figure.to_json(summaries) for figure in _figures(asked.parts)],
                }
                for task, summaries in tasks.items()
            }
    keep(asked, "cluster_read", found)


def _figures(parts: Sequence[str]) -> list[Figure]:
    return [
        Figure(
            name=f"{layout}: points a CPU-second, {where} / {base}",
            over=_name(where, layout),
            under=(_name(base, layout),),
            of="client",
            wanted=CPU,
        )
        for layout in LAYOUTS
        for where, base in (PARTS[part] for part in parts)
    ]


def _name(where: str, layout: str) -> str:
    return f"qwf, {layout}, {where}"


async def _everything(psi: Wavefunction) -> int:
    return (await psi.read[...]).size


async def _plane(psi: Wavefunction) -> int:
    return (await psi.read[:, :, psi.manifest.grid.shape[2] // 2]).size


async def _scattered(psi: Wavefunction) -> int:
    _, *sizes = psi.manifest.grid.shape
    points = np.column_stack([np.random.default_rng().integers(0, size, SCATTERED) for size in sizes])
    return (await psi.read_points(np.pad(points, ((0, 0), (0, 1))))).size


TASKS: Final[dict[str, Callable[[Wavefunction], Awaitable[int]]]] = {
    "everything": _everything,
    "a plane": _plane,
    "scattered points": _scattered,
}


async def _rounds(
    servers: Fleet, work: Workload, parts: Sequence[str], rounds: int
) -> dict[str, list[Summary]]:
    """All rounds of all tasks. The wavefunctions of one place are named after it, for places share servers."""
    runs: dict[str, list[Run]] = {task: [] for task in TASKS}
    places = list(dict.fromkeys(place for part in parts for place in PARTS[part]))
    async with AsyncExitStack() as stack:
        held = {}
        for place, number in zip(places, range(len(places)), strict=True):
            store = await stack.enter_async_context(store_at(WHERE[place](servers), settings_for(place)))
            for layout in LAYOUTS:
                await ingest(array(work.psi), store, f"{layout}-{number}", layout=layout)
                held[_name(place, layout)] = await store.open(f"{layout}-{number}")
        for number in range(-1, rounds):  # the one before the first opens connections, and does not count
            for task, read in TASKS.items():
                for name in random.Random(number).sample(list(held), len(held)):
                    run = await _turn(servers, held[name], read, name, number)
                    if number >= 0:
                        runs[task].append(run)
    return {task: summarise(own, _name(places[-1], "flat")) for task, own in runs.items()}


async def _turn(
    servers: Fleet,
    psi: Wavefunction,
    read: Callable[[Wavefunction], Awaitable[int]],
    name: str,
    number: int,
) -> Run:
    spent = servers.cpu_seconds()
    clock = Clock()
    points = await read(psi)
    cost: Cost = clock.cost()
    return Run(
        contestant=name,
        number=number,
        points=points,
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        server_cpu_seconds=servers.cpu_seconds() - spent,
        server_bytes=0,
    )
