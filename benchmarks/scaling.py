"""`python -m benchmarks scaling`: whether cost grows linearly, from ten million points to a hundred million.

On each server, in rounds; in each round every layout in every size, in turn. `--points` is the
largest size: 10⁸ points of layout flat take about 6 GB on Valkey and 10 GB on Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qwf_async.lattice.grid import Box, Grid, Order
from qwf_async.layout import LAYOUTS

from . import project
from .contest import Turn, in_rounds
from .cost import Cost
from .options import keep, options
from .report import Figure, Summary, draw, summarise, table
from .servers import Running, running
from .workload import Workload

SIDE: Final = 100
"""Points along each axis of a frame; the size grows by frames."""
FRAMES: Final = (10, 30, 100)
KEPT: Final = 0.9
"""The rate of the largest size that is wanted, of that of the smallest."""


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


def main(arguments: Sequence[str]) -> None:
    asked = options("scaling", __doc__, arguments, points=10**8, rounds=3)
    frame = Workload.packet(SIDE)
    sizes = [n for n in FRAMES if n * frame.points <= asked.points] or [max(1, asked.points // frame.points)]
    turns = [
        Turn(name=_name(layout, n), points=n * frame.points, load=partial(_load, source, layout))
        for n in sizes
        for source in [Repeated(frame=frame.psi, frames=n)]
        for layout in LAYOUTS
    ]
    figures = [
        Figure(
            name=f"{layout}: {sizes[-1]} million points / {sizes[0]} million",
            over=_name(layout, sizes[-1]),
            under=(_name(layout, sizes[0]),),
            wanted=KEPT,
        )
        for layout in LAYOUTS
    ]
    found: dict[str, Any] = {}
    drawn: dict[str, list[Summary]] = {}
    for kind in asked.kinds:
        with running(kind) as server:
            own = summarise(in_rounds(server, turns, asked.rounds), turns[0].name)
            drawn[server.software] = own
            print(f"\n{server.software}, {asked.rounds} rounds")
            print(table(own, figures))
            found[server.software] = {
                "contestants": [summary.to_json() for summary in own],
                "figures": [figure.to_json(own) for figure in figures],
            }
    keep(asked, "scaling", found)
    if asked.plot:
        draw(asked.plot, drawn)


def _name(layout: str, millions: int) -> str:
    return f"qwf, {layout}, {millions} million"


def _load(source: Repeated, layout: str, server: Running) -> Cost:
    return project.ingested(server.url, source, layout=layout)
