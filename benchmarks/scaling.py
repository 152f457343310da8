"""Whether cost grows linearly: the dense layouts, from a million points to a hundred million."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import numpy as np
from numpy.typing import NDArray

import qwf_async
from qwf_async.lattice.grid import Box, Grid, Order

from .servers import Running
from .workload import Workload

SIDE = 100
"""Points along each axis of a frame; the size grows by frames."""

FRAMES = (1, 3, 10, 30, 100)
LAYOUTS = ("packed", "tile")
TOLERATED = {"packed": 0.25, "tile": 0.15}
"""How much slower 10⁸ points may be, a point, than 10⁷."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A source of any number of frames that are all the same, so that no array of 10⁸ points is needed."""

    frame: NDArray[np.complex128]
    frames: int

    @property
    def spec(self) -> str:
        return f"{self.frames} times the same frame"

    @property
    def grid(self) -> Grid:
        _, x, y, z = self.frame.shape
        return Grid.of((x, y, z), frames=self.frames)

    @property
    def order(self) -> Order:
        return "C"

    def read(self, box: Box) -> NDArray[Any]:
        first = Box(start=(0, *box.start[1:]), stop=(1, *box.stop[1:]))
        return np.broadcast_to(self.frame[first.slices], box.shape)

    def fingerprint(self) -> str:
        return self.spec

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size of one layout: points/s of each round, and bytes a point on the server."""

    layout: str
    points: int
    rates: tuple[float, ...]
    bytes_per_point: float

    def to_json(self) -> dict[str, Any]:
        return {
            "layout": self.layout,
            "points": self.points,
            "rates": self.rates,
            "points_per_s": median(self.rates),
            "bytes_per_point": self.bytes_per_point,
        }


def measure(server: Running, rounds: int, most: int) -> list[Point]:
    """Every layout in every size up to `most` points, the sizes in turn in each round."""
    frame = Workload.packet(SIDE).psi
    sources = [Repeated(frame=frame, frames=n) for n in FRAMES if n * frame.size <= most]
    cases = [(layout, source) for layout in LAYOUTS for source in sources]
    rates: dict[tuple[str, int], list[float]] = {}
    memory: dict[tuple[str, int], float] = {}
    for _ in range(rounds):
        for layout, source in cases:
            empty = server.empty()
            points = source.grid.points
            rates.setdefault((layout, points), []).append(points / _load(server, source, layout))
            memory[layout, points] = (server.used_memory() - empty) / points
    server.empty()
    return [
        Point(layout=layout, points=points, rates=tuple(own), bytes_per_point=memory[layout, points])
        for (layout, points), own in rates.items()
    ]


def table(found: Sequence[Point]) -> str:
    """The sizes as text, and how the largest compares with 10⁷ points."""
    lines = [f"{'':8} {'points':>12} {'k points/s':>11} {'B/point':>8}"]
    lines += [
        f"{p.layout:8} {p.points:12,} {median(p.rates) / 1e3:11,.0f} {p.bytes_per_point:8.1f}" for p in found
    ]
    for layout in LAYOUTS:
        rates = {p.points: median(p.rates) for p in found if p.layout == layout}
        if rates.keys() >= {10**7, 10**8}:
            change = rates[10**8] / rates[10**7] - 1
            lines.append(f"{layout}: 1e8 points at {change:+.0%}; wanted: at least -{TOLERATED[layout]:.0%}")
    return "\n".join(lines)


def draw(path: Path, servers: Mapping[str, Sequence[Point]]) -> None:
    """Points/s over points, a line for each layout on each server."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(8, 5), layout="constrained")
    panel = picture.subplots()
    for software, found in servers.items():
        for layout in LAYOUTS:
            own = [p for p in found if p.layout == layout]
            rates = [median(p.rates) / 1e6 for p in own]
            panel.plot([p.points for p in own], rates, "o-", label=f"{layout}, {software}")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("points")
    panel.set_ylabel("million points/s")
    panel.legend()
    picture.savefig(path)


def _load(server: Running, source: Repeated, layout: str) -> float:
    async def load() -> float:
        async with qwf_async.connect(server.url) as store:
            start = time.perf_counter()
            await qwf_async.ingest(source, store, "bench", layout=layout, overwrite=True)
            return time.perf_counter() - start

    return anyio.run(load, backend="asyncio", backend_options={"use_uvloop": True})
