"""Coordinates that are packed, or have missing values, in files of every format."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import xarray
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis
from qwf_async.source import array, open_source

Array = NDArray[Any]
Attributes = dict[str, Any]


def written_axis(form: str, path: Path, x: Array, attributes: Attributes) -> Path:
    """ψ along an axis whose coordinate is packed."""
    psi = np.arange(1.0, 1 + len(x))
    data = xarray.Dataset({"psi": (("x",), psi)}, coords={"x": (("x",), x, attributes)})
    data["psi"].encoding["_FillValue"] = None
    if "_FillValue" not in attributes:
        data["x"].encoding["_FillValue"] = None
    if form.startswith("Zarr"):
        data.to_zarr(path / "psi.zarr", zarr_format=int(form[-1]), consolidated=False)
        return path / "psi.zarr"
    data.to_netcdf(
        path / "psi.nc", engine="netcdf4", format="NETCDF4" if form[-1] == "4" else "NETCDF3_64BIT"
    )
    return path / "psi.nc"


AXES = ["NetCDF 3", "NetCDF 4", "Zarr 2", "Zarr 3"]


@pytest.mark.parametrize("form", AXES)
def test_packed_coordinates_are_unpacked(form: str, tmp_path: Path) -> None:
    packed = {"scale_factor": 0.5, "add_offset": -1.0, "_FillValue": np.int16(-9), "units": "bohr"}
    path = written_axis(form, tmp_path, np.arange(6, dtype="i2"), packed)
    with closing(open_source(str(path))) as source:
        assert source.grid.axes[1] == Axis(origin=-1.0, step=0.5, unit="bohr")
    unsigned = np.arange(126, 132, dtype="u1").view("i1")
    (tmp_path / "u").mkdir()
    path = written_axis(form, tmp_path / "u", unsigned, {"_Unsigned": "true", "units": "bohr"})
    with closing(open_source(str(path))) as source:
        assert source.grid.axes[1] == Axis(origin=126.0, step=1.0, unit="bohr")


@pytest.mark.parametrize("fill", [{"_FillValue": np.int16(3)}, {"missing_value": np.int16(3)}])
@pytest.mark.parametrize("form", AXES)
def test_coordinates_with_missing_values_are_refused(form: str, fill: Attributes, tmp_path: Path) -> None:
    path = written_axis(form, tmp_path, np.arange(6, dtype="i2"), fill)
    with pytest.raises(
        InvalidInput, match=r"the coordinate x of .*psi holds NaN, infinity or what its file says is m"
    ):
        open_source(str(path))
    with closing(open_source(str(path), box="3")) as source:
        assert source.grid.axes[1].step == 0.5


def test_arrays_beside_psi_are_unpacked(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "psi.h5", "w") as file:
        file["psi"], file["x"] = np.ones((6, 4), complex), np.arange(6, dtype="i2")
        file["x"].attrs.update({"scale_factor": 0.5, "units": "bohr"})
        file["y"] = np.arange(4, dtype="i2")
    with closing(open_source(f"{tmp_path}/psi.h5:psi")) as source:
        assert source.grid.axes[1] == Axis(origin=0.0, step=0.5, unit="bohr")


def test_coordinates_of_netcdf_that_were_never_written_are_refused(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "psi.nc", "w") as file:
        file.createDimension("x", 6)
        file.createVariable("psi", "f8", ("x",))[:] = np.arange(6)
        file.createVariable("x", "f8", ("x",))
    with pytest.raises(InvalidInput, match=r"the coordinate x of .*psi holds NaN, infinity or what its file"):
        open_source(f"{tmp_path}/psi.nc")


def test_coordinates_that_xarray_did_not_decode_are_unpacked() -> None:
    x = xarray.Variable("x", np.arange(6, dtype="i2"), {"scale_factor": 0.5, "units": "bohr"})
    psi = xarray.DataArray(np.ones(6), dims=["x"], coords={"x": x})
    assert array(psi).grid.axes[1] == Axis(origin=0.0, step=0.5, unit="bohr")
