"""`to_xarray`: a stored wavefunction as a DataArray, read at once or by dask in blocks of the user's size."""

from __future__ import annotations

import pickle
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
import xarray
from zarr.core.sync import sync

import qwf_async
from qwf_async import Axis, Grid, Refused, UsageError, sources, to_xarray
from qwf_async.layout import LAYOUTS
from qwf_async.zarr_store import open_store
from tests.conftest import Server
from tests.support.loads import ingested, wave

pytestmark = pytest.mark.usefixtures("small_chunks")

PSI = wave(4, 12, 9, 10)
GRID = Grid(
    shape=PSI.shape,
    axes=(
        Axis(origin=1, step=0.5, unit="hbar/Eh"),
        Axis(origin=-3, step=0.5, unit="bohr"),
        Axis(step=2.0, unit="bohr"),
        Axis(),
    ),
)


@pytest.fixture(scope="module", autouse=True)
def _zarr_loop() -> None:
    """Zarr's event loop, which stays: started before what a test leaves open is counted."""
    sync(anyio.lowlevel.checkpoint())


def data_array(server: Server, chunks: Any = None) -> Any:
    async def work() -> Any:
        async with qwf_async.connect(server.url) as store:
            return await to_xarray(store, await store.open("psi"), chunks=chunks)

    return anyio.run(work)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_axes_units_and_attributes_are_those_of_the_dataset_that_zarr_opens(
    server: Server, layout: str
) -> None:
    anyio.run(lambda: ingested(server, sources.array(PSI, GRID), layout=layout, codec="c16"))
    psi, lazy = data_array(server), data_array(server, {})
    np.testing.assert_array_equal(psi.values, PSI)
    assert psi.chunks is None
    with open_store("psi", server.url) as store, xarray.open_zarr(store) as dataset:
        for array in (psi, lazy):
            xarray.testing.assert_identical(array.drop_attrs(), dataset.psi.drop_attrs())
            assert array.attrs == dataset.attrs | dataset.psi.attrs
            for name in "txyz":
                assert array[name].attrs == dataset[name].attrs
    assert psi.sel(x=-2.1, t=1.4, method="nearest").t == 1.5
    source = sources.array(psi)  # there and back
    assert source.grid.axes[:3] == GRID.axes[:3]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ({}, None),
        ({"t": 2, "x": -1, "y": 9, "z": 5}, (2, 12, 9, 5)),
        ({"x": 4}, (None, 4, None, None)),
        ("auto", PSI.shape),
        (6, (4, 6, 6, 6)),
    ],
)
def test_dask_reads_blocks_of_the_size_that_is_asked_for(server: Server, chunks: Any, expected: Any) -> None:
    anyio.run(lambda: ingested(server, sources.array(PSI, GRID), layout="tile"))
    stored = tuple(data_array(server, {}).data.chunksize)
    lazy = data_array(server, chunks)
    wanted = stored if expected is None else tuple(a or b for a, b in zip(expected, stored, strict=True))
    assert lazy.data.chunksize == wanted
    assert lazy.data.name == data_array(server, chunks).data.name
    assert lazy.data.name != data_array(server, {"y": 7}).data.name
    np.testing.assert_array_equal(lazy.values, PSI)
    np.testing.assert_array_equal(lazy.isel(t=1, x=slice(3, 9, 2)).values, PSI[1, 3:9:2])
    np.testing.assert_allclose((abs(lazy) ** 2).sum().values, np.vdot(PSI, PSI).real)


def test_lazy_array_can_be_pickled_and_is_refused_once_it_was_replaced(server: Server) -> None:
    anyio.run(ingested, server, sources.array(PSI))
    lazy = pickle.loads(pickle.dumps(data_array(server, {})))  # noqa: S301 # our own pickle
    np.testing.assert_array_equal(lazy.values, PSI)
    again = data_array(server, "auto")
    anyio.run(lambda: ingested(server, sources.array(PSI * 2), overwrite=True))
    with pytest.raises(Refused, match="replaced or removed"):
        again.compute()


@pytest.mark.parametrize(
    ("chunks", "message"),
    [({"q": 3}, "chunks: 'q' is none of the dimensions t, x, y, z"), ({"x": (3, 3)}, "chunks cannot be")],
)
def test_chunks_that_cannot_be_are_refused(server: Server, chunks: Any, message: str) -> None:
    anyio.run(ingested, server, sources.array(PSI))
    with pytest.raises(UsageError, match=message):
        data_array(server, chunks)
