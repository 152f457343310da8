"""Missing points on their way to the server, and arrays that hide some of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import dask.array
import h5netcdf
import h5py
import netCDF4
import numpy as np
import pytest
import xarray
import zarr
from numpy.typing import NDArray

import qwf_async
from qwf_async import sources
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.layout import LAYOUTS
from tests.conftest import Server
from tests.support.loads import check_points, contents, ingested, refusal, wave

Array = NDArray[Any]
lazily: Callable[..., Any] = dask.array.from_array
STORED = np.array([1, 2, -9, 4, 5, 6], "i2")
SCALED = [0.5, 1.0, np.nan, 2.0, 2.5, 3.0]


def packed_netcdf(path: Path) -> str:
    """Six numbers by the NetCDF library: packed, one of them missing."""
    with netCDF4.Dataset(path / "psi.nc", "w") as file:
        file.createDimension("x", 6)
        psi = file.createVariable("psi", "i2", ("x",), fill_value=-9)
        psi.set_auto_maskandscale(False)
        psi[:] = STORED
        psi.scale_factor = 0.5
    return f"{path}/psi.nc"


@pytest.mark.anyio
async def test_a_missing_point_of_a_file_is_refused_as_nan_is(server: Server, tmp_path: Path) -> None:
    name = packed_netcdf(tmp_path)
    with closing(sources.netcdf(name)) as source:
        error = await refusal(source, server)
    assert isinstance(error, InvalidInput)
    assert str(error).startswith(
        f"{name} holds NaN, infinity or what its file says is missing (-9), first at t = 0, x = 2, y = 0, z = 0: "
    )
    assert str(error).endswith(" stores NaN there")
    assert not any(b":psi:" in key for key in contents(server))


@pytest.mark.anyio
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_missing_point_of_a_file_is_nan_if_allowed(
    server: Server, layout: str, tmp_path: Path
) -> None:
    with closing(sources.netcdf(packed_netcdf(tmp_path))) as source:
        await ingested(server, source, layout=layout, allow_nonfinite=True)
    async with qwf_async.connect(server.url) as store:
        psi = await store.open("psi")
        np.testing.assert_array_equal((await psi.read[0, :, 0, 0]).real, SCALED)


def hidden(psi: Array, *points: tuple[int, ...]) -> Array:
    mask = np.zeros(psi.shape, bool)
    for point in points:
        mask[point] = True
    return np.ma.MaskedArray(psi, mask)


def nan_at(psi: Array, *points: tuple[int, ...]) -> Array:
    psi = psi.astype(np.result_type(psi.dtype, np.float32))
    for point in points:
        psi[point] = complex(np.nan, np.nan) if psi.dtype.kind == "c" else np.nan
    return psi


@pytest.mark.parametrize("dtype", ["c16", ">c16", "c8", "f8", "f4", "i2", "i4"])
def test_masked_arrays_are_nan_where_they_hide(dtype: str) -> None:
    psi = np.arange(1, 61).reshape(3, 4, 5).astype(dtype)
    masked = hidden(psi, (1, 2, 3), (2, 0, 0))
    wanted = nan_at(psi, (1, 2, 3), (2, 0, 0))
    for given in (masked, lazily(masked, chunks=2)):
        with closing(sources.array(given)) as source:
            got = source.read(source.grid.whole)[0]
            np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(masked.data, psi)


def test_a_masked_array_that_hides_nothing_is_not_copied() -> None:
    psi = wave(2, 3, 4, 5)
    with closing(sources.array(hidden(psi))) as source:
        assert np.shares_memory(source.read(source.grid.whole), psi)


def test_functions_that_yield_masked_arrays_are_nan_where_they_hide() -> None:
    def psi(t: Array, x: Array, y: Array, z: Array) -> Array:
        return np.ma.masked_greater(x + 0 * (t + y + z), 1.0)

    source = sources.function(psi, grid=Grid.of((4,), box=(4,)))
    np.testing.assert_array_equal(source.read(source.grid.whole)[0, :, 0, 0].real, [-2, -1, 0, 1])
    wider = sources.function(psi, grid=Grid.of((8,), box=(8,)))
    np.testing.assert_array_equal(
        np.isnan(wider.read(wider.grid.whole)[0, :, 0, 0].real), [False] * 6 + [True] * 2
    )


@pytest.mark.anyio
async def test_masked_arrays_are_refused_by_ingest_and_update(server: Server) -> None:
    psi = wave(1, 4, 4, 4)
    error = await refusal(sources.array(hidden(psi, (0, 1, 2, 3))), server)
    assert isinstance(error, InvalidInput)
    assert "holds NaN or infinity, first at t = 0, x = 1, y = 2, z = 3" in str(error)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(psi), store, "psi")
        stored = await store.open("psi")
        with pytest.raises(InvalidInput, match="NaN or infinity"):
            await stored.update_region((0, 0, 0), hidden(np.ones(4), (2,)))
    check_points(server, psi)


def by_xarray(path: Path, keep: ExitStack, **how: Any) -> Any:
    return keep.enter_context(xarray.open_dataset(packed_netcdf(path), engine="h5netcdf", **how))["psi"]


def by_xarray_undecoded(path: Path, keep: ExitStack) -> Any:
    return by_xarray(path, keep, decode_cf=False)


def by_dask_undecoded(path: Path, keep: ExitStack) -> Any:
    return by_xarray_undecoded(path, keep).chunk({"x": 2})


def by_h5py(path: Path, keep: ExitStack) -> Any:
    return keep.enter_context(h5py.File(packed_netcdf(path)))["psi"]


def by_h5netcdf(path: Path, keep: ExitStack) -> Any:
    return keep.enter_context(h5netcdf.File(packed_netcdf(path))).variables["psi"]


def by_netcdf4(path: Path, keep: ExitStack) -> Any:
    return keep.enter_context(netCDF4.Dataset(packed_netcdf(path))).variables["psi"]


def by_zarr(version: Any) -> Callable[[Path, ExitStack], Any]:
    def read(path: Path, keep: ExitStack) -> Any:
        by_xarray(path, keep).to_dataset().to_zarr(path / "psi.zarr", zarr_format=version, consolidated=False)
        return zarr.open(path / "psi.zarr/psi", mode="r")

    return read


@pytest.mark.parametrize(
    "given",
    [
        by_xarray,
        by_xarray_undecoded,
        by_dask_undecoded,
        by_h5py,
        by_h5netcdf,
        by_netcdf4,
        by_zarr(2),
        by_zarr(3),
    ],
    ids=["xarray", "xarray undecoded", "dask undecoded", "h5py", "h5netcdf", "netCDF4", "Zarr 2", "Zarr 3"],
)
def test_packed_arrays_that_are_handed_over_are_unpacked_once(
    given: Callable[[Path, ExitStack], Any], tmp_path: Path
) -> None:
    with ExitStack() as keep:
        source = keep.enter_context(closing(sources.array(given(tmp_path, keep))))
        np.testing.assert_array_equal(source.read(source.grid.whole)[0, :, 0, 0].real, SCALED)
