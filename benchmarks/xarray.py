"""`python -m benchmarks xarray`: all of a wavefunction of layout tile by xarray, in each way, against `read[...]`.

A grid of frames of 64×48×40 points. Each turn ends with the values in an array of NumPy, which is
compared with what was stored. Tiles as the chunks of Zarr are so slow that one frame of them is read.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import anyio
import numpy as np
import xarray
from anyio import to_thread
from numpy.typing import NDArray

import qwf_async
from qwf_async.producing.background import close_background
from qwf_async.zarr_store import ZarrStore

from .cost import Clock, Cost
from .options import keep, options
from .report import Figure, Run, Summary, summarise, table
from .servers import Running, running

FRAME: Final = (64, 48, 40)

READ, WHOLE, LAZY = "read[...]", "to_xarray()", "to_xarray(chunks={})"
ZARR, NO_DASK, TILES = "open_zarr", "open_zarr, without dask", "open_zarr, tiles as chunks"
FIGURES: Final = (
    Figure(name=f"{WHOLE} / {READ}", over=WHOLE, under=(READ,), wanted=0.67),
    *(
        Figure(
            name=f"{name} / {READ}, points a CPU-second of the client",
            over=name,
            under=(READ,),
            of="client",
            wanted=w,
        )
        for name, w in ((WHOLE, 0.67), (LAZY, 0.5), (NO_DASK, 0.5), (ZARR, 0.4))
    ),
)

Turn = Callable[[], Awaitable[tuple[int, Cost]]]


def main(arguments: Sequence[str]) -> None:
    asked = options("xarray", __doc__, arguments, points=24 * 64 * 48 * 40, rounds=5)
    frames = max(1, round(asked.points / np.prod(FRAME)))
    found: dict[str, Any] = {}
    for kind in asked.kinds:
        with running(kind) as server:
            summaries = anyio.run(
                _contest, server, frames, asked.rounds, backend_options={"use_uvloop": True}
            )
            print(
                f"\n{server.software}, {frames}×{'×'.join(map(str, FRAME))} points, {asked.rounds} rounds\n"
            )
            print(table(summaries, FIGURES))
            found[server.software] = {
                "contestants": [summary.to_json() for summary in summaries],
                "figures": [figure.to_json(summaries) for figure in FIGURES],
            }
            close_background()
    keep(asked, "xarray", found)


async def _contest(server: Running, frames: int, rounds: int) -> list[Summary]:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(frames, *FRAME)) + 1j * rng.normal(size=(frames, *FRAME))
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(values, store, "chi", layout="tile")
        psi = await store.open("chi")
        with _turns(store, psi, values) as turns:
            runs = []
            for number in range(-1, rounds):  # the first one pays for imports and connections
                order = list(turns)
                random.Random(number).shuffle(order)
                for name in order:
                    spent = server.cpu_seconds()
                    points, cost = await turns[name]()
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
    return summarise(runs, READ)


@contextmanager
def _turns(
    store: qwf_async.Store, psi: qwf_async.Wavefunction, values: NDArray[Any]
) -> Iterator[Mapping[str, Turn]]:
    """What is compared, by its name."""

    def checked(found: NDArray[Any], clock: Clock) -> tuple[int, Cost]:
        cost = clock.cost()
        assert np.array_equal(found, values[: len(found)])
        return found.size, cost

    async def read() -> tuple[int, Cost]:
        clock = Clock()
        return checked(await psi.read[...], clock)

    async def to_xarray(chunks: Any) -> tuple[int, Cost]:
        clock = Clock()
        array = await qwf_async.to_xarray(store, psi, chunks=chunks)
        return checked(await to_thread.run_sync(lambda: array.values), clock)

    async def open_zarr(zarr_store: ZarrStore, frames: int, **how: Any) -> tuple[int, Cost]:
        def load() -> NDArray[Any]:
            found: NDArray[Any] = xarray.open_zarr(zarr_store, **how).psi[:frames].values
            return found

        clock = Clock()
        return checked(await to_thread.run_sync(load), clock)

    with ZarrStore(psi) as whole, ZarrStore(psi, tiles=True) as tiles:
        yield {
            READ: read,
            WHOLE: partial(to_xarray, None),
            LAZY: partial(to_xarray, {}),
            ZARR: partial(open_zarr, whole, len(values)),
            NO_DASK: partial(open_zarr, whole, len(values), chunks=None),
            TILES: partial(open_zarr, tiles, 1),
        }
