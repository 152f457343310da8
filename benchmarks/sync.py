"""The synchronous face against the asynchronous one: a point, a plane, an ingest; in turn on one server.

The asynchronous calls are made on one loop that runs on (uvloop), as in a program that is asynchronous. Each
kind of call is made many times in a row, in an order that is shuffled anew in each round. Told are
medians in microseconds and what the synchronous call adds: the median over the rounds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from statistics import median

import anyio
import numpy as np

import qwf_async as qwf

from .options import keep, options
from .servers import running

WANTED_MS = 0.3
"""What a synchronous call may add to the asynchronous one, in milliseconds."""

GRID = qwf.Grid.cube(64, box=20.0)
CALLS = {"point": 300, "plane": 60, "ingest": 6}
"""What is called → how often in a row."""


def main(arguments: Sequence[str]) -> None:
    found = options("sync", __doc__, arguments, points=GRID.points, rounds=7)
    servers = {}
    for kind in found.kinds:
        with running(kind) as server:
            times = measured(server.url, found.rounds)
            print(f"\n{server.software}: µs of a call (median), and what the synchronous face adds")
            for what, sides in times.items():
                added = median(s - a for s, a in zip(sides["sync"], sides["async"], strict=True))
                mark = "" if what != "point" or added <= WANTED_MS * 1000 else "   MISSED"
                print(
                    f"  {what:8} async {median(sides['async']):10.0f}   sync {median(sides['sync']):10.0f}"
                    f"   adds {added:8.0f}{mark}"
                )
            servers[server.software] = times
    print(f"\nwanted: at most {WANTED_MS * 1000:.0f} µs for a point")
    keep(found, "sync", servers)


def measured(url: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """What is called → async or sync → the median of each round, µs."""
    times: dict[str, dict[str, list[float]]] = {what: {"async": [], "sync": []} for what in CALLS}
    source = qwf.sources.array(np.ones(GRID.shape, complex), grid=GRID)

    async def both() -> None:
        """The asynchronous calls are made on this loop; the synchronous ones hold it up, when it has nothing to do."""
        async with qwf.connect(url) as store:
            await qwf.ingest(source, store, "psi", layout="tile")
            psi = await store.open("psi")
            with qwf.open(url) as waiting:
                same = waiting["psi"]
                slow: dict[str, Callable[[], Awaitable[object]]] = {
                    "point": partial(psi.point, 3, 4, 5),
                    "plane": lambda: psi.read[0, :, :, 5],
                    "ingest": lambda: qwf.ingest(source, store, "new", layout="tile", overwrite=True),
                }
                calls: dict[str, Callable[[], object]] = {
                    "point": lambda: same[0, 3, 4, 5],
                    "plane": lambda: same[0, :, :, 5],
                    "ingest": lambda: waiting.ingest(source, "new", layout="tile", overwrite=True),
                }
                for number in range(-1, rounds):  # the first one warms up
                    turns = [(what, side) for what in CALLS for side in ("async", "sync")]
                    random.Random(number).shuffle(turns)
                    for what, side in turns:
                        taken = []
                        for _ in range(CALLS[what]):
                            start = time.perf_counter()
                            if side == "async":
                                await slow[what]()
                            else:
                                calls[what]()
                            taken.append(time.perf_counter() - start)
                        if number >= 0:
                            times[what][side].append(median(taken) * 1e6)

    anyio.run(both, backend_options={"use_uvloop": True})
    return times
