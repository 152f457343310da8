"""`python -m benchmarks read`: reading everything, a region, scattered points and one point, in every layout.

The same wavefunction lies on one server in every layout, and in a Zarr v3 directory of the
same tiles, uncompressed, on a local disk. In each round every contestant of a task has its
turn, in an order shuffled anew; ratios are taken within a round. Points that lie anywhere are
drawn anew for each turn, so that none finds them in the processor's cache. Peers: redis-py's
HGETALL of the flat hash; a loop of redis.asyncio's HGET on the same event loop; zarr-python.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, get_args

import anyio
import numpy as np
import redis
import zarr
from numpy.typing import NDArray
from redis.asyncio import Redis

import qwf_async
from qwf_async.layout import LAYOUTS

from .report import Figure, Run, Summary, draw, environment, summarise
from .servers import Kind, Running, running
from .workload import Workload

SCATTERED: Final = 10_000
"""Points that lie anywhere, read together."""
ASKED: Final = 1000
"""Times that one point is read in a round; the median is what counts."""

HGETALL, HGET, ZARR = "redis-py, HGETALL", "redis.asyncio, HGET", "zarr-python, local directory"
OURS = {layout: f"qwf, {layout}" for layout in LAYOUTS}

EVERYTHING, REGION, ONE, MANY = "everything", "a region", "one point (1 / median time)", "scattered points"
FIGURES: Final[dict[str, tuple[Figure, ...]]] = {
    EVERYTHING: (
        Figure(name="flat / HGETALL", over=OURS["flat"], under=(HGETALL,), wanted=1.5),
        Figure(name="packed / flat", over=OURS["packed"], under=(OURS["flat"],), wanted=3),
        Figure(name="tile / flat", over=OURS["tile"], under=(OURS["flat"],), wanted=10),
        Figure(name="tile / zarr-python", over=OURS["tile"], under=(ZARR,), wanted=1),
    ),
    REGION: (Figure(name="tile / zarr-python", over=OURS["tile"], under=(ZARR,), wanted=2),),
    ONE: tuple(
        Figure(name=f"{layout} / HGET", over=OURS[layout], under=(HGET,), wanted=round(1 / 1.3, 2))
        for layout in LAYOUTS
    ),
    MANY: tuple(
        Figure(name=f"{layout} / HGETs", over=OURS[layout], under=(HGET,), wanted=5) for layout in LAYOUTS
    ),
}  # fmt: skip
YARDSTICKS = {EVERYTHING: HGETALL, REGION: ZARR, ONE: HGET, MANY: HGET}

Points = NDArray[np.int64]
Read = Callable[[Points], Awaitable[tuple[int, float]]]
"""A turn, given points that no turn before it read: how many points were read, in how many seconds."""


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    work = Workload.packet(options.edge)
    results = {}
    kinds: tuple[Kind, ...] = get_args(Kind) if options.server == "both" else (options.server,)
    for kind in kinds:
        with running(kind) as server, tempfile.TemporaryDirectory(prefix="qwf-bench-") as directory:
            job = partial(_tasks, server, work, Path(directory), options.rounds)
            tasks = anyio.run(job, backend="asyncio", backend_options={"use_uvloop": True})
            results[server.software] = tasks
            print(f"\n{server.software}, {options.edge}³ points, {options.rounds} rounds")
            for task, summaries in tasks.items():
                print(_table(task, summaries))
    if options.json:
        written = {
            "benchmark": "read",
            "shape": list(work.psi.shape),
            "rounds": options.rounds,
            "environment": environment(),
            "servers": {software: _to_json(tasks) for software, tasks in results.items()},
        }
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    if options.plot:
        panels = {f"{s}: {task}": found for s, tasks in results.items() for task, found in tasks.items()}
        draw(options.plot, {name: found for name, found in panels.items() if not name.endswith(ONE)})


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks read", description=__doc__)
    parser.add_argument(
        "--edge", type=int, default=64, help="edge of the cubic grid; the region is a quarter of it"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--server", choices=[*get_args(Kind), "both"], default="valkey")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them there (png, svg, pdf)")
    return parser.parse_args(arguments)


async def _tasks(server: Running, work: Workload, directory: Path, rounds: int) -> dict[str, list[Summary]]:
    """All rounds of all tasks."""
    async with (
        qwf_async.connect(server.url) as store,
        Redis(unix_socket_path=str(server.socket)) as client,
    ):
        used = server.empty()
        held, sizes = {}, {}
        for layout in LAYOUTS:
            await qwf_async.ingest(qwf_async.sources.array(work.psi), store, layout, layout=layout)
            held[layout] = await store.open(layout)
            sizes[OURS[layout]] = server.used_memory() - used
            used += sizes[OURS[layout]]
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
            task: await _rounds(contestants, reading.drawn, rounds, sizes, YARDSTICKS[task])
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
        n = self.work.psi.shape[-1]
        middle = slice(n // 2 - n // 8, n // 2 + n // 8)
        region = (0, middle, middle, middle)

        def ours(read: Callable[..., Awaitable[tuple[int, float]]], *what: Any) -> dict[str, Read]:
            return {name: partial(read, layout, *what) for layout, name in OURS.items()}

        everything: dict[str, Read] = {HGETALL: self.hgetall, ZARR: partial(self.zarr, ...)}
        part: dict[str, Read] = {ZARR: partial(self.zarr, region)}
        once: dict[str, Read] = {HGET: partial(self.hget, one=True)}
        often: dict[str, Read] = {HGET: partial(self.hget, one=False)}
        return {
            EVERYTHING: ours(self.box, ...) | everything,
            REGION: ours(self.box, region) | part,
            ONE: ours(self.one) | once,
            MANY: ours(self.many) | often,
        }

    def drawn(self) -> Points:
        """SCATTERED points x, y, z, t, others each time."""
        n = self.work.psi.shape[-1]
        return np.column_stack([self.rng.integers(0, n, (SCATTERED, 3)), np.zeros(SCATTERED, int)])

    def write_zarr(self) -> None:
        chunks = (1, *(self.held["tile"].manifest.form.tile or ()))
        array = zarr.create_array(
            self.directory / "psi.zarr",
            shape=self.work.psi.shape,
            chunks=chunks,
            dtype="c16",
            compressors=None,
        )
        array[...] = self.work.psi

    async def box(self, layout: str, index: Any, _: Points) -> tuple[int, float]:
        start = time.perf_counter()
        found = await self.held[layout].read[index]
        return self._checked(found, self.work.psi[index], start)

    async def zarr(self, index: Any, _: Points) -> tuple[int, float]:
        start = time.perf_counter()
        found = zarr.open_array(self.directory / "psi.zarr", mode="r")[index]
        return self._checked(np.asarray(found), self.work.psi[index], start)

    async def hgetall(self, _: Points) -> tuple[int, float]:
        key = next(iter(self.held["flat"].manifest.form.keys(self._base)))
        with redis.Redis(unix_socket_path=str(self.server.socket)) as client:
            client.ping()
            start = time.perf_counter()
            found = client.hgetall(key)
            seconds = time.perf_counter() - start
        assert len(found) == self.work.points
        return len(found), seconds

    async def many(self, layout: str, points: Points) -> tuple[int, float]:
        start = time.perf_counter()
        found = await self.held[layout].read_points(points)
        x, y, z, t = points.T
        return self._checked(found, self.work.psi[t, x, y, z], start)

    async def one(self, layout: str, points: Points) -> tuple[int, float]:
        psi, seconds = self.held[layout], []
        for x, y, z, t in points[:ASKED].tolist():
            start = time.perf_counter()
            await psi.point(x, y, z, t)
            seconds.append(time.perf_counter() - start)
        return 1, median(seconds)

    async def hget(self, points: Points, *, one: bool) -> tuple[int, float]:
        """HGET of each point, one after the other: the median time, or that of all together."""
        seconds = []
        places = [self.held["flat"].where(*point) for point in (points[:ASKED] if one else points).tolist()]
        for place in places:
            start = time.perf_counter()
            await self.client.hget(place.key, place.field)
            seconds.append(time.perf_counter() - start)
        return (1, median(seconds)) if one else (len(points), sum(seconds))

    @property
    def _base(self) -> bytes:
        return b"qwf:flat:" + self.held["flat"].manifest.generation.encode()

    def _checked(self, found: NDArray[Any], wanted: NDArray[Any], start: float) -> tuple[int, float]:
        seconds = time.perf_counter() - start
        assert np.array_equal(found, wanted)
        return found.size, seconds


async def _rounds(
    contestants: Mapping[str, Read],
    drawn: Callable[[], Points],
    rounds: int,
    sizes: Mapping[str, int],
    yardstick: str,
) -> list[Summary]:
    """The runs of a task, after one round whose figures are thrown away: it pays for imports and connections."""
    runs = []
    for number in range(-1, rounds):
        order = list(contestants)
        random.Random(number).shuffle(order)
        for name in order:
            points, seconds = await contestants[name](drawn())
            if number >= 0:
                size = sizes.get(name, 0)
                runs.append(
                    Run(contestant=name, number=number, points=points, seconds=seconds, server_bytes=size)
                )
    return summarise(runs, [yardstick])


def _table(task: str, summaries: Sequence[Summary]) -> str:
    lines = [f"\n{task:34} {'points':>10} {'k points/s':>11} {'from':>8} {'to':>8} {'ratio':>7}"]
    lines += [
        f"{s.contestant:34} {s.points:10,} {median(s.rates) / 1e3:11,.1f} {min(s.rates) / 1e3:8,.1f} "
        f"{max(s.rates) / 1e3:8,.1f} {median(s.ratios):7.2f}{' (yardstick)' if s.yardstick else ''}"
        for s in summaries
    ]
    lines += [
        f"  {f.name:32} {f.reached(summaries):6.2f}   wanted: at least {f.wanted}" for f in FIGURES[task]
    ]
    return "\n".join(lines)


def _to_json(tasks: Mapping[str, Sequence[Summary]]) -> dict[str, Any]:
    return {
        task: {
            "contestants": [summary.to_json() for summary in summaries],
            "figures": [figure.to_json(summaries) for figure in FIGURES[task]],
        }
        for task, summaries in tasks.items()
    }
