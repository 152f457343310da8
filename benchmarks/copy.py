"""`python -m benchmarks copy`: `cp` from one server to another, beside reading and ingesting the same data.

The wavefunction lies on one server in the layout before. In each round it is read whole into an
array, ingested from an array into the other server in the layout after, and copied from the one
to the other, in an order shuffled anew. The ratio is that of the copy to the slower of the other
two, in the same round.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import anyio

import qwf_async

from .cost import Clock
from .options import keep, options
from .report import Run, Summary, draw, summarise, table
from .servers import Running, running
from .workload import Workload

WAYS: Final = (
    ("flat", "flat"),
    ("packed", "packed"),
    ("tile", "tile"),
    ("flat", "tile"),
    ("packed", "tile"),
    ("tile", "packed"),
    ("tile", "flat"),
)
"""The layouts before and after."""

SHARES: Final = {"flat": 1 / 8, "packed": 1 / 4, "tile": 1}
"""The share of the points that is copied, by the slower layout of the two."""

READ, INGEST, COPY = "read", "ingest", "cp"


def main(arguments: Sequence[str]) -> None:
    ways = [f"{before}-{after}" for before, after in WAYS]
    asked = options("copy", __doc__, arguments, points=256**3, rounds=5, parts=ways)
    work = Workload.packet(round(asked.points ** (1 / 3)))
    found: dict[str, Any] = {}
    panels: dict[str, list[Summary]] = {}
    for kind in asked.kinds:
        with running(kind) as server, running(kind) as other:
            print(f"\n{server.software}, {asked.rounds} rounds")
            own = found[server.software] = {}
            for way in asked.parts:
                before, after = way.split("-")
                part = work.part(min(SHARES[before], SHARES[after]))
                job = partial(_rounds, server, other, part, before, after, asked.rounds)
                runs = anyio.run(job, backend="asyncio", backend_options={"use_uvloop": True})
                summaries = summarise(runs, COPY)
                ratio, low, high = _ratio(summaries)
                print(f"\n{before} to {after}\n{table(summaries, ())}")
                print(f"  cp / the slower of both: {ratio:.2f} ({low:.2f} to {high:.2f})")
                own[way] = {"contestants": [s.to_json() for s in summaries], "ratio": ratio}
                panels[f"{server.software}: {way}"] = summaries
    keep(asked, "copy", found)
    if asked.plot:
        draw(asked.plot, panels)


def _ratio(summaries: Sequence[Summary]) -> tuple[float, float, float]:
    """The median ratio of the copy to the slower of the others in the same round, the lowest and the highest."""
    rates = {summary.contestant: summary.rates for summary in summaries}
    ratios = sorted(
        copy / min(read, ingest)
        for copy, read, ingest in zip(rates[COPY], rates[READ], rates[INGEST], strict=True)
    )
    return ratios[len(ratios) // 2], ratios[0], ratios[-1]


async def _rounds(
    server: Running, other: Running, work: Workload, before: str, after: str, rounds: int
) -> list[Run]:
    source = qwf_async.sources.array(work.psi)
    runs = []
    server.empty()
    async with qwf_async.connect(server.url) as store, qwf_async.connect(other.url) as to:
        await qwf_async.ingest(source, store, "psi", layout=before)
        psi = await store.open("psi")

        async def read() -> None:
            values = await psi.read[...]
            assert values.shape == work.shape

        async def ingest() -> None:
            await qwf_async.ingest(source, to, "new", layout=after)

        async def copy() -> None:
            await qwf_async.copy(store, "psi", to, "new", layout=after)

        contestants: dict[str, Callable[[], Awaitable[None]]] = {READ: read, INGEST: ingest, COPY: copy}
        for number in range(rounds):
            for name in random.sample(sorted(contestants), len(contestants)):
                empty = other.empty()
                spent = server.cpu_seconds() + other.cpu_seconds()
                clock = Clock()
                await contestants[name]()
                cost = clock.cost()
                runs.append(
                    Run(
                        contestant=name,
                        number=number,
                        points=work.points,
                        seconds=cost.seconds,
                        cpu_seconds=cost.cpu_seconds,
                        server_cpu_seconds=server.cpu_seconds() + other.cpu_seconds() - spent,
                        server_bytes=other.used_memory() - empty,
                    )
                )
    return runs
