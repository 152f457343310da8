"""Arrays t, x, y, z beside ψ that are its axes: in HDF5, npz and Zarr without names of dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import zarr

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import UNKNOWN_AXIS, Axis, Grid
from qwf_async.lattice.units import ANGSTROM
from qwf_async.source import open_source
from tests.support.command import Shell

Arrays = Mapping[str, Any]
Writer = Callable[[Path, Arrays], str]


def hdf5(path: Path, arrays: Arrays) -> str:
    with h5py.File(path / "a.h5", "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return f"{path}/a.h5"


def npz(path: Path, arrays: Arrays) -> str:
    np.savez(path / "a.npz", **arrays)
    return f"{path}/a.npz"


def npz_compressed(path: Path, arrays: Arrays) -> str:
    np.savez_compressed(path / "a.npz", **arrays)
    return f"{path}/a.npz"


def zarr_2(path: Path, arrays: Arrays) -> str:
    return _zarr(path, arrays, 2)


def zarr_3(path: Path, arrays: Arrays) -> str:
    return _zarr(path, arrays, 3)


def _zarr(path: Path, arrays: Arrays, version: Any) -> str:
    group = zarr.open_group(path / "a.zarr", mode="w", zarr_format=version)
    for name, values in arrays.items():
        group.create_array(name, data=values)
    return f"{path}/a.zarr"


WRITERS = [hdf5, npz, npz_compressed, zarr_2, zarr_3]
every_format = pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)


def psi(*shape: int) -> Any:
    rng = np.random.default_rng(3)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def line(count: int, start: float = -2.0, step: float = 0.5) -> Any:
    return start + step * np.arange(count)


def read(spec: str, **options: Any) -> tuple[Any, Grid]:
    with closing(open_source(spec, **options)) as source:
        return source.read(source.grid.whole), source.grid


LAID = Axis(origin=-2.0, step=0.5)


@every_format
def test_arrays_of_matching_length_are_the_axes(tmp_path: Path, write: Writer) -> None:
    values = psi(5, 4, 3, 2)
    path = write(
        tmp_path, {"psi": values, "time": line(5), "x": line(4), "y": line(3), "z": line(2), "t0": np.ones(7)}
    )
    found, grid = read(f"{path}:psi")
    assert np.array_equal(found, values)
    assert grid.axes == (LAID,) * 4


@every_format
def test_axes_need_not_be_told_from_psi(tmp_path: Path, write: Writer) -> None:
    values = psi(4, 3)
    found, grid = read(write(tmp_path, {"psi": values, "x": line(4), "y": line(3), "t": line(1)}))
    assert np.array_equal(found[0, ..., 0], values)
    assert grid.axes == (Axis(origin=-2.0), LAID, LAID, UNKNOWN_AXIS)


@every_format
def test_a_pair_has_axes_too(tmp_path: Path, write: Writer) -> None:
    values = psi(6, 4)
    path = write(tmp_path, {"re": values.real, "im": values.imag, "tlist": line(6), "xs": line(4)})
    found, grid = read(path)
    assert np.array_equal(found[..., 0, 0], values)
    assert grid.axes[:2] == (LAID, LAID)


@every_format
@pytest.mark.parametrize(
    ("shape", "names", "order"),
    [((7, 5), "tx", "tx"), ((5, 7), "xt", "xt"), ((5, 4, 3), "zyx", "zyx"), ((6, 5, 4), "txy", "txy"),
     ((6, 5, 4, 3), "zyxt", "zyxt"), ((6,), "t", "t"), ((6, 5), "t-", "tx"), ((6, 5, 4), "t--", "txy"),
     ((6, 5), "xy", "xy"), ((5, 5), "xy", "xy"), ((1, 5), "-x", "yx"), ((6, 5), "-y", "xy")],
)  # fmt: skip
def test_lengths_say_which_dimension_is_which(
    tmp_path: Path, write: Writer, shape: tuple[int, ...], names: str, order: str
) -> None:
    values = psi(*shape)
    arrays = {name: line(size) for name, size in zip(names, shape, strict=True) if name != "-"}
    found, grid = read(write(tmp_path, {"psi": values, **arrays}))
    turned = np.einsum(values, list(map("txyz".index, order)), sorted(map("txyz".index, order)))
    sizes = dict(zip(order, shape, strict=True))
    assert grid.shape == tuple(sizes.get(letter, 1) for letter in "txyz")
    assert np.array_equal(found.reshape(turned.shape), turned)
    for letter, axis in zip("txyz", grid.axes, strict=True):
        assert axis == (LAID if letter in names else UNKNOWN_AXIS)


@every_format
@pytest.mark.parametrize(
    ("shape", "arrays", "ways"),
    [((5, 5), {"t": 5, "x": 5}, ["t,x", "x,t"]), ((6, 5, 4), {"x": 5, "y": 4}, ["t,x,y", "z,x,y"]),
     ((6, 5), {"x": 5}, ["t,x", "y,x"]), ((6, 5), {"x": 6, "y": 6}, [])],
)  # fmt: skip
def test_what_lengths_leave_open_is_asked_and_can_be_said(
    tmp_path: Path, write: Writer, shape: tuple[int, ...], arrays: dict[str, int], ways: list[str]
) -> None:
    path = write(tmp_path, {"psi": psi(*shape), **{name: line(size) for name, size in arrays.items()}})
    with pytest.raises(InvalidInput, match="which is which") as refused:
        open_source(path)
    assert all(f"dims='{way}'" in str(refused.value) for way in ways)
    for way in ways:
        found, grid = read(path, dims=way)
        assert found.size == psi(*shape).size
        assert all(grid.axes["txyz".index(name)] == LAID for name in arrays)


@every_format
def test_two_real_numbers_are_asked_about_as_ever(tmp_path: Path, write: Writer) -> None:
    values = psi(6, 4)
    parts = np.stack([values.real, values.imag], -1)
    path = write(tmp_path, {"psi": parts, "t": line(6), "x": line(4)})
    with pytest.raises(InvalidInput, match=r"dims='t,x,y' or dims='t,x,c'"):
        open_source(path)
    found, grid = read(path, dims="t,x,c")
    assert np.array_equal(found[..., 0, 0], values)
    assert grid.axes[:2] == (LAID, LAID)
    path = write(tmp_path, {"psi": np.ones((6, 2)), "x": line(6), "y": line(2)})
    assert read(path)[1].axes[1:3] == (LAID, LAID)


@pytest.mark.parametrize("write", [hdf5, zarr_2, zarr_3, npz])
def test_axes_of_a_group_are_those_of_all_within(tmp_path: Path, write: Writer) -> None:
    path = write(
        tmp_path,
        {
            "x": line(4),
            "y": line(3, 1.0),
            "a/psi": psi(4, 3),
            "b/psi": psi(4, 3),
            "b/y": line(3),
            "c/x": line(4, 7.0),
        },
    )
    assert [axis.origin for axis in read(f"{path}:a/psi")[1].axes[1:3]] == [-2.0, 1.0]
    assert [axis.origin for axis in read(f"{path}:b")[1].axes[1:3]] == [-2.0, -2.0]


@every_format
def test_two_arrays_for_one_axis_must_be_equal(tmp_path: Path, write: Writer) -> None:
    arrays = {"psi": psi(6, 4), "x": line(4), "t": line(6), "time": line(6)}
    assert read(write(tmp_path, arrays))[1].axes[0] == LAID
    path = write(tmp_path, {**arrays, "time": line(6, 0.0)})
    with pytest.raises(InvalidInput, match=r"t and .*time could be the axis t of .*psi, and differ.* by dt"):
        open_source(path)
    assert read(path, dt=0.5)[1].axes[0].step == 0.5


@every_format
def test_an_uneven_array_is_refused_and_box_helps(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path, {"psi": psi(4), "x": np.array([0, 1, 2, 4.0])})
    with pytest.raises(InvalidInput, match=r"x, which lies beside .*psi, is not evenly spaced.* by box"):
        open_source(path)
    assert read(path, box="4")[1].axes[1] == Axis(origin=-2.0, step=1.0, unit="bohr")


@every_format
def test_arrays_that_do_not_fit_are_no_axes_and_are_told(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path, {"psi": psi(4), "x": line(5), "T": line(4), "y": psi(4), "t": line(9)})
    with closing(open_source(f"{path}:psi")) as source:
        assert source.grid.axes == (UNKNOWN_AXIS,) * 4
        (told,) = source.warnings()  # type: ignore[attr-defined] # a file's
    assert told.endswith("x has 5 points and the axis x of ψ has 4: it is not taken for it")
    with pytest.raises(InvalidInput, match="holds 5 arrays: name one"):
        open_source(path)


@every_format
def test_an_array_with_the_name_of_an_axis_can_be_psi(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path, {"x": line(4), "y": line(4) ** 2})
    with pytest.raises(InvalidInput, match="holds 2 arrays"):
        open_source(path)
    found, grid = read(f"{path}:y")
    assert np.array_equal(found.ravel(), line(4) ** 2)
    assert grid.axes[1] == LAID


def test_units_of_arrays_beside_count(tmp_path: Path) -> None:
    path = hdf5(tmp_path, {"psi": psi(4), "x": line(4, 0.0)})
    with h5py.File(path, "a") as file:
        file["x"].attrs["units"] = "Å"
    with closing(open_source(path)) as source:
        assert source.grid.axes[1] == Axis(origin=0.0, step=ANGSTROM / 2, unit="bohr")
        assert source.understood()["axes beside"] == f"x={path}:/x"  # type: ignore[attr-defined] # a file's


def test_links_and_labels_are_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["psi"] = psi(4, 3)
        file["grid/points"] = line(4)
        file["x"] = h5py.SoftLink("/grid/points")
        file["y"] = h5py.SoftLink("/nothing")
        file["psi"].dims[0].label = "x"
        file["psi"].dims[1].label = "y"
    assert read(f"{tmp_path}/a.h5:psi")[1].axes[1:3] == (LAID, UNKNOWN_AXIS)


@pytest.mark.parametrize("write", [hdf5, npz, npz_compressed])
def test_rows_and_columns_are_axes_as_matlab_stores_them(tmp_path: Path, write: Writer) -> None:
    values = psi(5, 4)  # what MATLAB has as (x, t) lies in its files as (t, x)
    found, grid = read(write(tmp_path, {"psi": values, "x": line(4)[None], "t": line(5)[:, None]}))
    assert np.array_equal(found[..., 0, 0], values)
    assert grid.axes[:2] == (LAID, LAID)
    path = write(tmp_path, {"psi": values, "x": np.stack([line(4), line(4)])})
    assert read(f"{path}:psi")[1].axes == (UNKNOWN_AXIS,) * 4


def test_a_dimension_of_netcdf_without_points_is_no_axis(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 4)
        file.createVariable("psi", "f8", ("x",))[:] = np.arange(4.0)
    assert read(f"{tmp_path}/a.nc")[1].axes == (UNKNOWN_AXIS,) * 4


def test_a_fingerprint_tells_another_axis(tmp_path: Path) -> None:
    prints = set()
    for start in (0.0, 1.0):
        path = hdf5(tmp_path, {"psi": psi(4), "x": line(4, start)})
        with closing(open_source(path)) as source:
            prints.add(source.fingerprint().partition("grid")[2])
    assert len(prints) == 2


def test_the_advice_can_be_followed_on_the_command_line(tmp_path: Path) -> None:
    shell = Shell.at(tmp_path)
    npz(tmp_path, {"psi": psi(5, 5), "t": line(5), "x": line(5)})
    refused = shell.qwf("ingest", "a.npz", "--dry-run")
    assert refused.status == 7
    assert "--dims t,x or --dims x,t" in refused.err
    done = shell.qwf("ingest", "a.npz", "--dry-run", "--dims", "t,x")
    assert done.status == 0, done.err
    assert "axes beside" in done.out
