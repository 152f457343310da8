"""`python -m benchmarks dask`: blocks of a dask array into layout tile, against one ingest of the same array in memory.

A block is a frame of 128³ points. In threads it is cut from the array in memory; worker processes make
theirs, for nothing is sent to them. Both take turns with the ingest, after one turn that is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from statistics import median
from typing import Any, Final

import anyio
import dask
import dask.array as da
import distributed
import numpy as np

import qwf_async
from qwf_async import sources

from .options import keep, options
from .servers import Running, running

FRAME: Final = (128, 128, 128)
WORKERS: Final = 2


def main(arguments: Sequence[str]) -> None:
    asked = options("dask", __doc__, arguments, points=16_777_216, rounds=5)
    shape = (max(1, asked.points // 128**3), *FRAME)
    found: dict[str, Any] = {}
    for kind in asked.kinds:
        with running(kind) as server:
            print(server.software)
            found[server.software] = [
                _contest(name, server, array, scheduler, asked.rounds)
                for name, array, scheduler in (
                    ("threads", _in_memory(shape), _threads),
                    ("processes", _made(shape), _processes),
                )
            ]
    keep(asked, "dask", found)


def _contest(
    name: str,
    server: Running,
    array: Any,
    scheduler: Callable[[], AbstractContextManager[object]],
    rounds: int,
) -> dict[str, Any]:
    """Seconds of each turn, the rates in millions of points a second, and the median of the ratios turn by turn."""
    psi = np.asarray(array.compute(scheduler="sync"))

    async def ingest() -> None:
        async with qwf_async.connect(server.url) as store:
            await qwf_async.ingest(sources.array(psi), store, "one", layout="tile", overwrite=True)

    def store() -> None:
        qwf_async.dask.store(array, "many", server.url, layout="tile", overwrite=True)

    with scheduler():
        turns = [
            (_seconds(server, lambda: anyio.run(ingest)), _seconds(server, store)) for _ in range(rounds + 1)
        ]
    one, many = zip(*turns[1:], strict=True)
    row = {
        "workers": f"{WORKERS} {name}",
        "ingest": psi.size / median(one) / 1e6,
        "dask": psi.size / median(many) / 1e6,
        "ratio": median(a / b for a, b in turns[1:]),
        "seconds": turns[1:],
    }
    print(
        "{workers:12} dask {dask:5.1f} M points/s, one ingest {ingest:5.1f}, ratio {ratio:.2f}".format(**row)
    )
    return row


def _seconds(server: Running, job: Callable[[], object]) -> float:
    """What a job takes on an empty server."""
    server.empty()
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun


def _threads() -> AbstractContextManager[object]:
    return dask.config.set(scheduler="threads", num_workers=WORKERS)  # type: ignore[no-any-return] # untyped


@contextmanager
def _processes() -> Iterator[None]:
    with (
        distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        closing(distributed.Client(cluster)),
    ):
        yield


def _in_memory(shape: tuple[int, ...]) -> Any:
    psi = np.random.default_rng(0).normal(size=shape).astype(complex)
    return da.from_array(psi, chunks=(1, *FRAME), name="psi", inline_array=True)


def _made(shape: tuple[int, ...]) -> Any:
    chunks = tuple((piece,) * (size // piece) for size, piece in zip(shape, (1, *FRAME), strict=True))
    return da.map_blocks(_frame, chunks=chunks, dtype=complex, meta=np.empty((0,) * 4, complex))


def _frame(block_info: Any = None) -> Any:
    return np.full((1, *FRAME), 1.0 + block_info[None]["array-location"][0][0] + 0.5j)
