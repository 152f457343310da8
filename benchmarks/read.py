"""`python -m benchmarks read`: reading everything, a region, scattered points and one point, in every layout.

The same wavefunction lies on one server in every layout, and in a Zarr v3 directory of the
same tiles, uncompressed, on a local disk; of what is slow to read, a part of it. In each
round every contestant of a task has its turn, in an order shuffled anew; ratios are taken within a
round. Points that lie anywhere are drawn anew for each turn, so that none finds them in the
processor's cache. Peers: redis-py's HGETALL of the very same keys, one after the other, into
dictionaries; a loop of redis.asyncio's HGET on the same event loop; zarr-python.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import anyio
import numpy as np
import redis
import zarr
from numpy.typing import NDArray
from redis.asyncio import Redis

import qwf_async
from qwf_async.catalog.keys import Keys
from qwf_async.layout import LAYOUTS, Layout

from .cost import Clock, Cost
from .options import keep, options
from .report import Figure, Run, Summary, draw, summarise, table
from .servers import Running, running
from .workload import Workload

SCATTERED: Final = 10_000
"""Points that lie anywhere, read together."""
ASKED: Final = 1000
"""Times that one point is read in a round; the median is what counts."""
SHARES: Final = {"flat": 1 / 8, "packed": 1 / 8, "tile": 1}
"""The share of the points that is stored in a layout, and read of it."""

HGET, ZARR = "redis.asyncio, HGET", "zarr-python, local directory"
OURS: Final = {layout: f"qwf, {layout}" for layout in LAYOUTS}
HGETALL: Final = {layout: f"redis-py, HGETALL of {layout}" for layout in LAYOUTS}

EVERYTHING, REGION, ONE, MANY = "everything", "a region", "one point (1 / median time)", "scattered points"
FIGURES: Final[dict[str, tuple[Figure, ...]]] = {
    EVERYTHING: (
        *(
            Figure(
                name=f"{layout} / redis-py's HGETALL", over=OURS[layout], under=(HGETALL[layout],), wanted=w
            )
            for layout, w in (("flat", 2.5), ("packed", 8), ("tile", 0.6))
        ),
        Figure(name="tile: million points a CPU-second", over=OURS["tile"], of="client", wanted=70),
        Figure(name="tile / zarr-python", over=OURS["tile"], under=(ZARR,), wanted=1),
    ),
    REGION: (Figure(name="tile / zarr-python", over=OURS["tile"], under=(ZARR,), wanted=2),),
    ONE: tuple(
        Figure(name=f"{layout} / HGET", over=OURS[layout], under=(HGET,), wanted=0.9) for layout in LAYOUTS
    ),
    MANY: tuple(
        Figure(name=f"{layout} / HGETs", over=OURS[layout], under=(HGET,), wanted=5) for layout in LAYOUTS
    ),
}
YARDSTICKS: Final = {EVERYTHING: HGETALL["flat"], REGION: ZARR, ONE: HGET, MANY: HGET}

Points = NDArray[np.int64]
Read = Callable[[Points], Awaitable[tuple[int, Cost]]]
"""A turn, given points that no turn before it read: how many points were read, and at what cost."""


def main(arguments: Sequence[str]) -> None:
    asked = options("read", __doc__, arguments, points=256**3, rounds=5)
    work = Workload.packet(round(asked.points ** (1 / 3)))
    found: dict[str, Any] = {}
    panels: dict[str, list[Summary]] = {}
    for kind in asked.kinds:
        with running(kind) as server, tempfile.TemporaryDirectory(prefix="qwf-bench-") as directory:
            job = partial(_tasks, server, work, Path(directory), asked.rounds)
            tasks = anyio.run(job, backend="asyncio", backend_options={"use_uvloop": True})
            print(f"\n{server.software}, {work.points:,} points, {asked.rounds} rounds")
            for task, summaries in tasks.items():
                print(f"\n{task}\n{table(summaries, FIGURES[task])}")
            found[server.software] = {
                task: {
                    "contestants": [summary.to_json() for summary in summaries],
                    "figures": [figure.to_json(summaries) for figure in FIGURES[task]],
                }
                for task, summaries in tasks.items()
            }
            panels |= {f"{server.software}: {task}": own for task, own in tasks.items() if task != ONE}
    keep(asked, "read", found)
    if asked.plot:
        draw(asked.plot, panels)


async def _tasks(server: Running, work: Workload, directory: Path, rounds: int) -> dict[str, list[Summary]]:
    """All rounds of all tasks."""
    async with (
        qwf_async.connect(server.url) as store,
        Redis(unix_socket_path=str(server.socket)) as client,
    ):
        held = {}
        for layout, share in SHARES.items():
            source = qwf_async.sources.array(work.part(share).psi)
            await qwf_async.ingest(source, store, layout, layout=layout)
            held[layout] = await store.open(layout)
        reading = _Reading(
            server=server,
            work=work,
            held=held,
            client=client,
            directory=directory,
            rng=np.random.default_rng(1),
        )
        reading.write_zarr()
        return {
            task: await _rounds(server, contestants, reading.drawn, rounds, YARDSTICKS[task])
            for task, contestants in reading.tasks().items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What is read from where; each way to read checks what it got."""

    server: Running
    work: Workload
    held: Mapping[str, qwf_async.Wavefunction]
    client: Redis
    directory: Path
    rng: np.random.Generator

    def tasks(self) -> dict[str, Mapping[str, Read]]:
        least = min(psi.manifest.form.shape[1] for psi in self.held.values())
        n = self.work.shape[-1]
        middle = slice(n // 2 - n // 8, n // 2 + n // 8)
        region = (0, slice(least // 4, 3 * least // 4), middle, middle)

        def ours(read: Callable[..., Awaitable[tuple[int, Cost]]], *what: Any) -> dict[str, Read]:
            return {name: partial(read, layout, *what) for layout, name in OURS.items()}

        others: dict[str, Read] = {name: partial(self.hgetall, layout) for layout, name in HGETALL.items()}
        everything: dict[str, Read] = {ZARR: partial(self.zarr, ...)}
        part: dict[str, Read] = {ZARR: partial(self.zarr, region)}
        once: dict[str, Read] = {HGET: partial(self.hget, one=True)}
        often: dict[str, Read] = {HGET: partial(self.hget, one=False)}
        return {
            EVERYTHING: ours(self.box, ...) | others | everything,
            REGION: ours(self.box, region) | part,
            ONE: ours(self.one) | once,
            MANY: ours(self.many) | often,
        }

    def drawn(self) -> Points:
        """SCATTERED points x, y, z, t that every layout has, others each time."""
        shapes = [psi.manifest.form.shape for psi in self.held.values()]
        t, *space = map(min, zip(*shapes, strict=True))
        return self.rng.integers(0, [*space, t], (SCATTERED, 4))

    def write_zarr(self) -> None:
        psi = self.work.part(SHARES["flat"]).psi
        chunks = (1, *(self.held["tile"].manifest.form.tile or ()))
        array = zarr.create_array(
            self.directory / "psi.zarr", shape=psi.shape, chunks=chunks, dtype="c16", compressors=None
        )
        array[...] = psi

    async def box(self, layout: str, index: Any, _: Points) -> tuple[int, Cost]:
        clock = Clock()
        found = await self.held[layout].read[index]
        return self._checked(found, self.work.part(SHARES[layout]).psi[index], clock.cost())

    async def zarr(self, index: Any, _: Points) -> tuple[int, Cost]:
        clock = Clock()
        found = zarr.open_array(self.directory / "psi.zarr", mode="r")[index]
        cost = clock.cost()
        return self._checked(np.asarray(found), self.work.part(SHARES["flat"]).psi[index], cost)

    async def hgetall(self, layout: str, _: Points) -> tuple[int, Cost]:
        """HGETALL of each key of a wavefunction, the dictionaries thrown away."""
        keys = list(self.held[layout].manifest.form.keys(self._base(layout)))
        fields = 0
        with redis.Redis(unix_socket_path=str(self.server.socket)) as client:
            client.ping()
            clock = Clock()
            for key in keys:
                fields += len(client.hgetall(key))
            cost = clock.cost()
        assert fields == self._opened(layout).counts.fields
        return self.work.part(SHARES[layout]).points, cost

    async def many(self, layout: str, points: Points) -> tuple[int, Cost]:
        clock = Clock()
        found = await self.held[layout].read_points(points)
        cost = clock.cost()
        x, y, z, t = points.T
        return self._checked(found, self.work.psi[t, x, y, z], cost)

    async def one(self, layout: str, points: Points) -> tuple[int, Cost]:
        psi, seconds, clock = self.held[layout], [], Clock()
        for x, y, z, t in points[:ASKED].tolist():
            start = time.perf_counter()
            await psi.point(x, y, z, t)
            seconds.append(time.perf_counter() - start)
        return 1, Cost(seconds=median(seconds), cpu_seconds=clock.cost().cpu_seconds / len(seconds))

    async def hget(self, points: Points, *, one: bool) -> tuple[int, Cost]:
        """HGET of each point, one after the other: the median time, or that of all together."""
        flat, seconds = self._opened("flat"), []
        places = [flat.place((t, x, y, z)) for x, y, z, t in (points[:ASKED] if one else points).tolist()]
        clock = Clock()
        for place in places:
            start = time.perf_counter()
            await self.client.hget(place.key, place.field)
            seconds.append(time.perf_counter() - start)
        cost = clock.cost()
        if not one:
            return len(points), cost
        return 1, Cost(seconds=median(seconds), cpu_seconds=cost.cpu_seconds / len(seconds))

    def _base(self, layout: str) -> bytes:
        psi = self.held[layout]
        return Keys(prefix="qwf", name=layout).base(psi.manifest.generation)

    def _opened(self, layout: str) -> Layout:
        return self.held[layout].manifest.form.open(self._base(layout))

    def _checked(self, found: NDArray[Any], wanted: NDArray[Any], cost: Cost) -> tuple[int, Cost]:
        assert np.array_equal(found, wanted)
        return found.size, cost


async def _rounds(
    server: Running,
    contestants: Mapping[str, Read],
    drawn: Callable[[], Points],
    rounds: int,
    yardstick: str,
) -> list[Summary]:
    """The runs of a task, after one round whose figures are thrown away: it pays for imports and connections."""
    runs = []
    for number in range(-1, rounds):
        order = list(contestants)
        random.Random(number).shuffle(order)
        for name in order:
            spent = server.cpu_seconds()
            points, cost = await contestants[name](drawn())
            run = Run(
                contestant=name,
                number=number,
                points=points,
                seconds=cost.seconds,
                cpu_seconds=cost.cpu_seconds,
                server_cpu_seconds=server.cpu_seconds() - spent,
                server_bytes=0,
            )
            if number >= 0:
                runs.append(run)
    return summarise(runs, yardstick)
