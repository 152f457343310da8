"""Axes that a file gets wrong, and what goes before them: the extents and the time step that are given."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray
import zarr
from scipy.io import netcdf_file

from qwf_async import sources
from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis
from qwf_async.lattice.units import ANGSTROM, TIME_SECONDS
from qwf_async.source import array, open_source
from tests.support.command import Shell

SHAPE = {"t": 3, "x": 4, "y": 3, "z": 1}
PSI = np.arange(36.0).reshape(3, 4, 3, 1) + 1j
HALF = Axis(origin=0, step=0.5, unit="hbar/Eh")
LAID = Axis(origin=-2, step=1, unit="bohr")


Coordinates = dict[str, tuple[Any, str]]


def hdf5(path: Path, coordinates: Coordinates) -> str:
    with h5py.File(path / "psi.h5", "w") as file:
        file["psi"] = PSI
        for place, name in enumerate(SHAPE):
            file["psi"].dims[place].label = name
            if name in coordinates:
                values, unit = coordinates[name]
                file[name] = values
                file[name].attrs["units"] = unit
                file[name].make_scale(name)
                file["psi"].dims[place].attach_scale(file[name])
    return f"{path}/psi.h5"


def classic(path: Path, coordinates: Coordinates) -> str:
    with netcdf_file(path / "psi.nc", "w") as file:
        for name, size in SHAPE.items():
            file.createDimension(name, size)
        for part, values in (("re", PSI.real), ("im", PSI.imag)):
            file.createVariable(part, "f8", tuple(SHAPE))[:] = values
        for name, (values, unit) in coordinates.items():
            variable = file.createVariable(name, "f8", (name,))
            variable[:] = values
            variable.units = unit
    return f"{path}/psi.nc"


def zarr3(path: Path, coordinates: Coordinates) -> str:
    group = zarr.open_group(path / "psi.zarr", mode="w", zarr_format=3)
    group.create_array("psi", data=PSI, dimension_names=list(SHAPE))
    for name, (values, unit) in coordinates.items():
        array = group.create_array(name, data=np.asarray(values, float), dimension_names=[name])
        array.attrs["units"] = unit
    return f"{path}/psi.zarr"


WRONG: list[tuple[str, Any, str, str]] = [
    ("t", [0.33, 0.67, 1.0], "fs", "not evenly spaced.* by dt"),
    ("t", [0.0, 1.0, 2.0], "moons", "in 'moons'.* by dt"),
    ("t", [0.0, 1.0, 2.0], "months since 2020-01-01", "in 'months since 2020-01-01'.* by dt"),
    ("x", [0.0, 0.5, 1.0, 1.5], "degrees_east", "in 'degrees_east'.* by box"),
    ("x", [1.5, 1.0, 0.5, 0.0], "bohr", "does not run upwards.* by box"),
    ("x", [0.0, 0.5, 1.1, 1.5], "bohr", "not evenly spaced.* by box"),
    ("y", [0.0, np.nan, 1.0], "bohr", "NaN.*"),
    ("z", [0.0], "cubit", "in 'cubit'.* by box"),
]


@pytest.mark.parametrize(("name", "values", "unit", "message"), WRONG)
@pytest.mark.parametrize("write", [hdf5, classic, zarr3])
def test_box_and_dt_go_before_axes_that_are_wrong(
    tmp_path: Path, write: Any, name: str, values: Any, unit: str, message: str
) -> None:
    path = write(tmp_path, {name: (values, unit)})
    with pytest.raises(InvalidInput, match=message):
        open_source(path)
    with pytest.raises(InvalidInput, match=message):  # the other option is no help
        open_source(path, box="4x3" if name == "t" else None, dt=None if name == "t" else 0.5)
    with closing(open_source(path, box="4x3", dt=0.5)) as source:
        assert source.grid.axes[:2] == (HALF, LAID)
        assert np.array_equal(source.read(source.grid.whole), PSI)


@pytest.mark.parametrize("write", [hdf5, classic, zarr3])
def test_a_single_point_keeps_the_place_that_its_file_states(tmp_path: Path, write: Any) -> None:
    with closing(open_source(write(tmp_path, {"z": ([0.25], "bohr")}), box="4x3")) as source:
        assert source.grid.axes[3].origin == 0.25


def test_in_python_a_grid_or_extents_go_before_a_wrong_coordinate() -> None:
    data = xarray.DataArray(
        np.ones((3, 4), complex),
        dims=("time", "x"),
        coords={"time": np.array([0, 1, 2], "datetime64[s]"), "x": ("x", np.arange(4.0), {"units": "cubit"})},
    )
    with pytest.raises(InvalidInput, match=r"decode_times=False.*by dt"):
        sources.array(data)
    assert sources.array(data, box=4.0, dt=0.5).grid.axes[:2] == (HALF, LAID)
    numbers = data.assign_coords(
        time=("time", np.arange(3.0), {"units": "days since 2020-01-01", "calendar": "noleap"})
    )
    with pytest.raises(InvalidInput, match="cubit"):
        sources.array(numbers)
    day = 86_400 / 2.4188843265864e-17
    assert sources.array(numbers, box=4.0).grid.axes[0].step == pytest.approx(day, rel=1e-14)


@pytest.mark.parametrize("write", [hdf5, classic, zarr3])
def test_times_since_a_date_are_numbers_in_the_unit_before_it(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path, {"t": ([1.0, 1.5, 2.0], "seconds since 2020-01-01 00:00:00")})
    with closing(open_source(path)) as source:
        axis = source.grid.axes[0]
        second = 1 / 2.4188843265864e-17
        assert axis.unit == "hbar/Eh"
        assert [axis.origin, axis.step] == pytest.approx([second, second / 2], rel=1e-14)
        assert source.understood()["times since"] == "2020-01-01 00:00:00"  # type: ignore[attr-defined] # a file's


def test_the_advice_can_be_followed_on_the_command_line(tmp_path: Path) -> None:
    shell = Shell.at(tmp_path)
    hdf5(tmp_path, {"x": ([3.0, 2.0, 1.0, 0.0], "bohr"), "t": ([0.0, 1.0, 3.0], "fs")})
    refused = shell.qwf("ingest", "psi.h5", "--dry-run")
    assert refused.status == 7
    assert "--dt" in refused.err
    refused = shell.qwf("ingest", "psi.h5", "--dry-run", "--dt", "0.5")
    assert refused.status == 7
    assert "--box" in refused.err
    done = shell.qwf("ingest", "psi.h5", "--dry-run", "--dt", "0.5", "--box", "4x3")
    assert done.status == 0, done.err


def test_coordinates_and_units_become_axes(tmp_path: Path) -> None:
    with h5netcdf.File(tmp_path / "psi.nc", "w") as file:
        file.dimensions = {"time": 3, "x": 4, "y": 5, "z": 1, "reim": 2}
        for name, values, unit in (
            ("time", [0.0, 0.5, 1.0], "fs"),
            ("x", [-1.0, -0.5, 0.0, 0.5], "angstrom"),
            ("y", np.arange(5) * 0.1, None),
        ):
            one = file.create_variable(name, (name,), data=np.asarray(values))
            if unit:
                one.attrs["units"] = unit
        file.create_variable("psi", ("time", "x", "y", "z", "reim"), data=np.ones((3, 4, 5, 1, 2)))
    with closing(open_source(f"{tmp_path}/psi.nc")) as source:
        t, x, y, z = source.grid.axes
        assert (t.unit, x.unit, y.unit) == ("hbar/Eh", "bohr", None)
        assert (t.origin, t.step) == pytest.approx((0.0, 0.5e-15 / TIME_SECONDS))
        assert (x.origin, x.step) == pytest.approx((-ANGSTROM, ANGSTROM / 2))
        assert (y.origin, y.step) == pytest.approx((0.0, 0.1))
        assert z == Axis()
    with closing(open_source(f"{tmp_path}/psi.nc", box="8x5", dt=0.25)) as source:
        assert source.grid.axes[0].step == 0.25
        assert source.grid.axes[1] == Axis(origin=-4.0, step=2.0, unit="bohr")


@pytest.mark.parametrize(
    ("points", "unit", "message"),
    [
        ([0.0, 1.0, 2.5, 3.0], "bohr", "not evenly spaced: point 2 is at 2.5"),
        ([3.0, 2.0, 1.0, 0.0], "bohr", "does not run upwards"),
        ([0.0, 1.0, 2.0, 3.0], "furlong", "'furlong', which is no unit of length"),
        ([0.0, 1.0, 2.0, 3.0], "fs", "'fs', which is no unit of length"),
        ([0.0, 1.0, np.nan, 3.0], "bohr", "holds NaN"),
    ],
)
def test_coordinates_that_are_no_axis_are_refused(
    tmp_path: Path, points: list[float], unit: str, message: str
) -> None:
    with h5py.File(tmp_path / "psi.h5", "w") as file:
        psi = file.create_dataset("psi", data=np.ones(4, complex))
        file["x"] = points
        file["x"].attrs["units"] = unit
        file["x"].make_scale("x")
        psi.dims[0].attach_scale(file["x"])
    with pytest.raises(InvalidInput, match=message):
        open_source(f"{tmp_path}/psi.h5")
    data = xarray.DataArray(np.ones(4, complex), dims="x", coords={"x": ("x", points, {"units": unit})})
    with pytest.raises(InvalidInput, match=message):
        array(data)


def test_coordinates_of_single_precision_are_even_within_their_digits(tmp_path: Path) -> None:
    points = np.linspace(-30, 30, 601, dtype=np.float32)
    data = xarray.DataArray(np.ones(601), dims="x", coords={"x": points})
    assert array(data).grid.axes[1].step == pytest.approx(0.1, rel=1e-6)
