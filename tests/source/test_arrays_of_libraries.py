"""Arrays of other libraries, handed over instead of the file that they are in: the same values, along the same axes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import xarray
import zarr
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.source import array, files

Array = NDArray[Any]
STORED = np.arange(60, dtype="i2").reshape(3, 4, 5)


@pytest.fixture(scope="module", autouse=True)
def _zarr_runs() -> None:
    """Its thread, which stays until the process ends, is begun before anything is counted."""
    zarr.array(np.zeros(1))


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
