"""Arrays of other libraries, handed over instead of the file that they are in: the same values, along the same axes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import dask.array
import h5py
import netCDF4
import numpy as np
import pytest
import xarray
import zarr
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Grid
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import array, files
from tests.source.written_files import (
    whole,
)
from tests.support.loads import wave

Array = NDArray[Any]
STORED = np.arange(60, dtype="i2").reshape(3, 4, 5)


@pytest.fixture
def keep() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def turned(path: Path) -> Path:
    """A NetCDF-4 file with ψ[z, y, x], which is packed: one half of the stored numbers and one, 7 means missing."""
    with netCDF4.Dataset(path / "turned.nc", "w") as file:
        for name, size in zip("zyx", STORED.shape, strict=True):
            file.createDimension(name, size)
        psi = file.createVariable("psi", "i2", ("z", "y", "x"), fill_value=7)
        psi.set_auto_maskandscale(False)
        psi.scale_factor, psi.add_offset = 0.5, 1.0
        psi[...] = STORED
    return path / "turned.nc"


def meant() -> Array:
    """What the file of `turned` means, [x, y, z]."""
    values: Array = np.where(STORED == 7, np.nan, STORED * 0.5 + 1)
    return values.T


def opened(library: str, path: Path, keep: ExitStack) -> Any:
    if library == "h5py":
        return keep.enter_context(h5py.File(path))["psi"]
    if library == "xarray":
        return keep.enter_context(xarray.open_dataset(path, mask_and_scale=False))["psi"]
    variable = keep.enter_context(netCDF4.Dataset(path))["psi"]
    variable.set_auto_maskandscale(library == "netCDF4")
    return variable


@pytest.mark.parametrize("library", ["h5py", "xarray", "netCDF4", "netCDF4, as stored"])
def test_variable_of_a_library_is_what_its_file_says(tmp_path: Path, library: str, keep: ExitStack) -> None:
    path = turned(tmp_path)
    with closing(files(f"{path}:psi")) as file:
        np.testing.assert_array_equal(file.read(file.grid.whole).real[0], meant())
    source = array(opened(library, path, keep))
    np.testing.assert_array_equal(source.psi.real[0], meant())


def test_variable_that_is_scaled_but_not_masked_is_refused(tmp_path: Path, keep: ExitStack) -> None:
    variable = keep.enter_context(netCDF4.Dataset(turned(tmp_path)))["psi"]
    variable.set_auto_mask(False)
    with pytest.raises(InvalidInput, match=r"masks or scales, but not both: call its set_auto_maskandscale"):
        array(variable)


@pytest.mark.parametrize(("mask", "scale"), [(True, False), (False, True)])
def test_half_is_enough_where_nothing_is_packed(
    tmp_path: Path, mask: bool, scale: bool, keep: ExitStack
) -> None:
    file = keep.enter_context(netCDF4.Dataset(tmp_path / "plain.nc", "w"))
    file.createDimension("x", 3)
    psi = file.createVariable("psi", "f8", ("x",))
    psi[:2] = 1.5
    psi.set_auto_mask(mask)
    psi.set_auto_scale(scale)
    np.testing.assert_array_equal(array(psi).psi.real.reshape(-1), [1.5, 1.5, np.nan])


@pytest.mark.parametrize("version", [2, 3])
def test_names_of_dimensions_of_a_zarr_array_say_which_is_which(version: Any) -> None:
    named: dict[int, dict[str, Any]] = {
        2: {"attributes": {"_ARRAY_DIMENSIONS": ["z", "y", "x"]}},
        3: {"dimension_names": ("z", "y", "x")},
    }
    held = zarr.create_array({}, data=STORED + 1.0, zarr_format=version, **named[version])
    np.testing.assert_array_equal(array(held).psi.real[0], STORED.T + 1)
    np.testing.assert_array_equal(array(held, dims="x,y,z").psi.real[0], STORED + 1)


def test_names_that_are_none_of_an_axis_are_asked_about(tmp_path: Path, keep: ExitStack) -> None:
    file = keep.enter_context(h5py.File(tmp_path / "psi.h5", "w"))
    file["psi"] = np.ones((3, 4))
    for place, name in enumerate(("lon", "lat")):
        file["psi"].dims[place].label = name
    with pytest.raises(InvalidInput, match="lon is none of t, x, y, z"):
        array(file["psi"])
    assert array(file["psi"], dims="lon=y,lat=x").grid.shape == (1, 4, 3, 1)


def test_several_arrays_are_no_array(tmp_path: Path, keep: ExitStack) -> None:
    np.savez(tmp_path / "psi.npz", psi=STORED, V=STORED)
    file = keep.enter_context(h5py.File(tmp_path / "psi.h5", "w"))
    file["psi"], file["V"] = STORED, STORED
    group = zarr.create_group({})
    group["psi"], group["V"] = STORED, STORED
    several = {"psi": STORED, "V": STORED}
    for one in (
        several,
        keep.enter_context(np.load(tmp_path / "psi.npz")),
        file,
        group,
        xarray.Dataset({name: (tuple("xyz"), values) for name, values in several.items()}),
    ):
        with pytest.raises(InvalidInput, match=r"is no array, but holds arrays .* choose one, it has V, psi"):
            array(one)


@pytest.mark.parametrize("values", [[[1, 2], [3]], object(), None, "psi.npy", Path("psi.npy")])
def test_what_is_no_array_of_numbers_is_refused(values: Any) -> None:
    with pytest.raises(InvalidInput, match=r"is no array|of type object"):
        array(values)


def test_arrays_of_python_are_read_a_block_at_a_time() -> None:
    psi = wave(2, 6, 4, 5)
    lazy = dask.array.from_array(psi, chunks=(1, 3, 4, 2))
    for values in (lazy, xarray.DataArray(lazy), zarr.array(psi, chunks=(1, 2, 2, 5))):
        source = array(values, box=3, dt=0.5)
        assert source.grid == Grid.of((6, 4, 5), box=(3,), frames=2, dt=0.5)
        for chunk in BoxPlan.cut(psi.shape, order=source.order, points=17):
            np.testing.assert_array_equal(source.read(chunk.box), psi[chunk.box.slices])
        assert source.fingerprint() == array(values, box=3, dt=0.5).fingerprint()
        assert (
            source.fingerprint() != array(values * 1.0 + 1, box=3, dt=0.5).fingerprint()
            if values is lazy
            else True
        )
    named = xarray.DataArray(psi, dims=("time", "lon", "y", "z")).transpose("z", "lon", "time", "y")
    np.testing.assert_array_equal(whole(array(named, dims="lon=x")), psi)
    with pytest.raises(InvalidInput, match=r"lon is none of t, x, y, z; .*, as in dims='lon=x'$"):
        array(named)
    grid = Grid.of((6, 4, 5), box=(3, 3, 3), frames=2, dt=1)
    assert array(lazy, grid).grid == grid
    with pytest.raises(InvalidInput, match="but its grid has"):
        array(lazy, Grid.cube(3))
