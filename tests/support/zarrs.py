"""Wavefunctions stored, and opened through zarr."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import dask.array
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype

import qwf_async
from qwf_async import Grid, Wavefunction
from qwf_async.zarr_store import ZarrStore
from tests.conftest import Served
from tests.support.loads import published

PROTOTYPE = default_buffer_prototype()


async def ingested(
    server: Served, psi: NDArray[Any], name: str = "psi", grid: Grid | None = None, **options: Any
) -> Wavefunction:
    """ψ stored and opened; the connections are closed again."""
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(qwf_async.sources.array(psi, grid), store, name, **options)
        return await store.open(name)


def put(
    server: Served, psi: NDArray[Any], name: str = "psi", *, tiles: bool = False, **options: Any
) -> ZarrStore:
    async def work() -> Wavefunction:
        return await ingested(server, psi, name, **options)

    return ZarrStore(anyio.run(work), tiles=tiles)


def opened(store: ZarrStore, name: str = "psi") -> zarr.Array[Any]:
    group = zarr.open(store)
    assert isinstance(group, zarr.Group)
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def dask_array(store: ZarrStore) -> Any:
    return dask.array.from_zarr(opened(store))


def reads(server: Served) -> dict[str, int]:
    """Commands since CONFIG RESETSTAT that read hashes, with how often they were called."""
    with server.plain as client:
        statistics = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): entry["calls"]
        for name, entry in statistics.items()
        if name.startswith(("cmdstat_h", "cmdstat_dump"))
    }


def tile_key(server: Served, chunk: int = 0) -> str:
    """The key of the tiles of a chunk."""
    return f"qwf:psi:{{{published(server)}.{chunk}}}:t"
