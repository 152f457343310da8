"""Files of every format as sources, against the arrays that were written by the formats' own libraries."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import dask.array
import h5netcdf
import h5py
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import netcdf_file

from qwf_async.errors import InvalidInput, UsageError
from qwf_async.lattice.grid import Axis, Box, Grid, shape4
from qwf_async.lattice.plan import BoxPlan
from qwf_async.lattice.units import ANGSTROM, TIME_SECONDS
from qwf_async.source import Source, array, open_source
from qwf_async.source.formats import block_cache
from qwf_async.source.text import default_name
from tests.support.loads import wave

Array = NDArray[Any]
Writer = Callable[[Path, Array], str]
"""Writes ψ[t, x, y, z] into a directory and returns the SOURCE that names it."""


@pytest.fixture(scope="module", autouse=True)
def _zarr_runs() -> None:
    """Its thread, which stays until the process ends, is begun before anything is counted."""
    zarr.array(np.zeros(1))


def npz(path: Path, psi: Array) -> str:
    np.savez(path / "psi.npz", psi=psi, other=np.arange(3.0))
    return f"{path}/psi.npz:psi"


def npz_compressed(path: Path, psi: Array) -> str:
    np.savez_compressed(path / "psi.npz", psi)
    return f"{path}/psi.npz"


def npz_pair(path: Path, psi: Array) -> str:
    np.savez(path / "psi.npz", re=psi.real, im=np.asfortranarray(psi.imag))
    return f"{path}/psi.npz"


def hdf5_compound(path: Path, psi: Array) -> str:
    with h5py.File(path / "psi.h5", "w") as file:
        file["run/psi"] = psi
    return f"{path}/psi.h5"


def hdf5_other_fields(path: Path, psi: Array) -> str:
    records = np.empty(psi.shape, [("real", ">f8"), ("imag", ">f8")])
    records["real"], records["imag"] = psi.real, psi.imag
    with h5py.File(path / "psi.hdf5", "w") as file:
        file["psi"] = records
    return f"{path}/psi.hdf5:psi"


def hdf5_blocks(path: Path, psi: Array) -> str:
    with h5py.File(path / "psi.h5", "w") as file:
        file.create_dataset("psi", data=psi, chunks=tuple(min(2, n) for n in psi.shape), compression=1)
        file["grid"] = np.arange(3)
    return f"{path}/psi.h5:/psi"


def hdf5_split(path: Path, psi: Array) -> str:
    with h5py.File(path / "psi.h5", "w") as file:
        file["a/re"], file["a/im"], file["b"] = psi.real, psi.imag, [1.0]
    return f"{path}/psi.h5:/a/re,/a/im"


def hdf5_group(path: Path, psi: Array) -> str:
    with h5py.File(path / "psi.h5", "w") as file:
        file["a/psi_real"], file["a/psi_imag"], file["b"] = psi.real, psi.imag, [1.0]
    return f"{path}/psi.h5:a"


def hdf5_last_of_two(path: Path, psi: Array) -> str:
    with h5py.File(path / "psi.h5", "w") as file:
        file["psi"] = np.stack([psi.real, psi.imag], -1)
    return f"{path}/psi.h5"


def zarr_3(path: Path, psi: Array) -> str:
    zarr.create_array(path / "psi.zarr", data=psi, chunks=tuple(min(2, n) for n in psi.shape))
    return f"{path}/psi.zarr"


def zarr_2(path: Path, psi: Array) -> str:
    group = zarr.open_group(path / "psi.zarr", mode="w", zarr_format=2)
    group.create_array("a/re", data=psi.real, chunks=psi.shape)
    group.create_array("a/im", data=psi.imag, chunks=psi.shape)
    return f"{path}/psi.zarr:/a"


def zarr_zip(path: Path, psi: Array) -> str:
    with zarr.storage.ZipStore(path / "psi.zarr.zip", mode="w") as store:
        zarr.create_array(store, data=psi)
    return f"{path}/psi.zarr.zip"


def netcdf_4(path: Path, psi: Array) -> str:
    with h5netcdf.File(path / "psi.nc", "w") as file:
        file.dimensions = dict(zip("txyz", psi.shape, strict=True)) | {"ri": 2}
        file.create_variable("psi", (*"txyz", "ri"), data=np.stack([psi.real, psi.imag], -1))
    return f"{path}/psi.nc"


def netcdf_3(path: Path, psi: Array) -> str:
    with netcdf_file(path / "psi.nc", "w", version=2) as file:
        for name, size in zip("txyz", (None, *psi.shape[1:]), strict=True):
            file.createDimension(name, size)
        for name, values in (("re", psi.real), ("im", psi.imag)):
            file.createVariable(name, "f8", tuple("txyz"))[:] = values
    return f"{path}/psi.nc:re,im"


def raw(path: Path, psi: Array) -> str:
    with (path / "psi.raw").open("wb") as file:
        file.write(b"12345" + psi.astype(">c16").tobytes())
    return f"{path}/psi.raw:shape={'x'.join(map(str, psi.shape))},dtype=>c16,offset=5"


def raw_fortran(path: Path, psi: Array) -> str:
    (path / "psi.bin").write_bytes(psi.tobytes("F"))
    return f"{path}/psi.bin:order=F,shape={'x'.join(map(str, psi.shape))}"


WRITERS: Sequence[Writer] = (
    npz, npz_compressed, npz_pair, hdf5_compound, hdf5_other_fields, hdf5_blocks, hdf5_split, hdf5_group,
    hdf5_last_of_two, zarr_3, zarr_2, zarr_zip, netcdf_4, netcdf_3, raw, raw_fortran,
)  # fmt: skip


def whole(source: Source) -> Array:
    return np.asarray(source.read(source.grid.whole))


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    shape=st.tuples(*[st.sampled_from([1, 3, 4, 5])] * 4).map(shape4),
    seed=st.integers(0, 1000),
    points=st.integers(1, 40),
    tile=st.booleans(),
)
def test_every_format_yields_the_array_that_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    writer: Writer,
    shape: tuple[int, int, int, int],
    seed: int,
    points: int,
    tile: bool,
) -> None:
    psi = wave(*shape, seed=seed)
    text = writer(tmp_path_factory.mktemp("file"), psi)
    with closing(open_source(text)) as source:
        assert source.grid == Grid(shape=shape)
        assert default_name(text) == "psi"
        unit = shape4(min(2, n) for n in shape) if tile else (1, 1, 1, 1)
        for chunk in BoxPlan.cut(shape, order=source.order, points=points, unit=(1, *unit[1:])):
            np.testing.assert_array_equal(source.read(chunk.box), psi[chunk.box.slices])
        first = source.fingerprint()
    with closing(open_source(text)) as again:
        assert again.fingerprint() == first


@pytest.mark.parametrize(
    "writer", [npz, hdf5_compound, hdf5_blocks, zarr_3, netcdf_4, raw], ids=lambda w: w.__name__
)
def test_single_precision_and_fewer_dimensions_are_kept(tmp_path: Path, writer: Writer) -> None:
    psi = wave(1, 5, 6, 1).astype(np.complex64)
    if writer is raw:
        (tmp_path / "psi.raw").write_bytes(psi.tobytes())
        text = f"{tmp_path}/psi.raw:shape=5x6,dtype=c8"
    else:
        text = writer(tmp_path, psi if writer is netcdf_4 else psi[0, ..., 0])
    with closing(open_source(text)) as source:
        assert source.grid.shape == psi.shape
        assert whole(source).dtype == np.complex64
        np.testing.assert_array_equal(whole(source), psi)


@pytest.mark.parametrize(
    "writer", [npz, hdf5_blocks, zarr_3, raw_fortran, npz_compressed], ids=lambda w: w.__name__
)
@pytest.mark.parametrize("dims", ["x,y,z,t", "z,y,x,t", "t,z,x,y"])
def test_dimensions_are_turned_as_dims_says(tmp_path: Path, writer: Writer, dims: str) -> None:
    psi = wave(2, 3, 4, 5)
    letters = dims.split(",")
    text = writer(tmp_path, psi.transpose(["txyz".index(letter) for letter in letters]))
    with closing(open_source(text, dims=dims)) as source:
        assert source.grid.shape == psi.shape
        for chunk in BoxPlan.cut(psi.shape, order=source.order, points=11):
            np.testing.assert_array_equal(source.read(chunk.box), psi[chunk.box.slices])


def test_an_npy_file_is_turned_too(tmp_path: Path) -> None:
    psi = wave(2, 3, 4, 5)
    np.save(tmp_path / "a.npy", np.asfortranarray(psi.transpose(1, 2, 3, 0)))
    with closing(open_source(f"{tmp_path}/a.npy", dims="x,y,z,t")) as source:
        np.testing.assert_array_equal(whole(source), psi)
    parts = np.stack([psi.real, psi.imag])
    np.save(tmp_path / "b.npy", parts)
    with closing(open_source(f"{tmp_path}/b.npy", dims="c,t,x,y,z")) as source:
        np.testing.assert_array_equal(whole(source), psi)
    with pytest.raises(UsageError, match="dims cannot be given"):
        open_source("hydrogen", dims="x,y,z")


def test_each_block_of_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psi = wave(2, 16, 12, 12)
    with h5py.File(tmp_path / "psi.h5", "w") as file:
        file.create_dataset("psi", data=psi, chunks=(1, 8, 6, 4), compression=1)
    with closing(open_source(f"{tmp_path}/psi.h5")) as source:
        loaded: list[Box] = []
        load = type(source)._load  # type: ignore[attr-defined] # of VariableSource

        def counted(self: Any, box: Box) -> Any:
            loaded.append(box)
            return load(self, box)

        monkeypatch.setattr(type(source), "_load", counted)
        for unit in ((1, 1, 1, 1), (1, 3, 5, 5)):
            loaded.clear()
            for chunk in BoxPlan.cut(psi.shape, points=100, unit=unit):
                np.testing.assert_array_equal(source.read(chunk.box), psi[chunk.box.slices])
            if unit == (1, 1, 1, 1):
                assert sum(box.points for box in loaded) == psi.size
        source.cache.close()  # type: ignore[attr-defined] # of VariableSource
        loaded.clear()
        for chunk in BoxPlan.cut(psi.shape, points=100, unit=(1, 3, 5, 5)):
            source.read(chunk.box)
        assert sum(box.points for box in loaded) == psi.size


def test_memory_for_blocks_is_bounded_and_a_file_of_too_thick_ones_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    psi = wave(1, 16, 16, 16)
    zarr.create_array(tmp_path / "psi.zarr", data=psi, chunks=(1, 8, 8, 8))
    monkeypatch.setattr(block_cache, "FILE_BYTES", 20_000)
    with closing(open_source(f"{tmp_path}/psi.zarr")) as source:
        (warning,) = source.warnings()  # type: ignore[attr-defined] # of VariableSource
        assert "each is read about 8 times" in warning
        for chunk in BoxPlan.cut(psi.shape, points=100):
            np.testing.assert_array_equal(source.read(chunk.box), psi[chunk.box.slices])
            kept = source.cache._kept  # type: ignore[attr-defined] # of VariableSource
            assert len(kept) * 16 * 8**3 <= 20_000


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


def test_arrays_of_python_are_read_a_block_at_a_time() -> None:
    psi = wave(2, 6, 4, 5)
    lazy = dask.array.from_array(psi, chunks=(1, 3, 4, 2))  # type: ignore[no-untyped-call] # untyped in dask
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


CUBES = Path(__file__).parents[1] / "data"


def test_a_cube_of_psi4_is_read_with_its_grid() -> None:
    text = str(CUBES / "water_mp2_density.cube")
    with closing(open_source(text)) as source:
        assert source.grid.shape == (1, 13, 13, 5)
        assert source.grid.axes[1] == Axis(origin=-3.0, step=0.5, unit="bohr")
        values = whole(source)
        assert (values[0, 0, 0, 0], values[0, 0, 0, 1]) == (1.30269e-06, 4.08156e-06)
        assert source.atoms.shape == (0, 5)  # type: ignore[attr-defined] # of CubeField; it states three and lists none
        for chunk in BoxPlan.cut(source.grid.shape, points=50, unit=(1, 3, 3, 3)):
            np.testing.assert_array_equal(source.read(chunk.box), values[chunk.box.slices])


def cube_text(values: Array, *, counts: int = 1, orbitals: Sequence[int] = (), start: str = "0 0 0") -> str:
    """A cube file of [x, y, z] or [x, y, z, orbitals]; negative `counts` are in ångström."""
    lines = ["a title", "another", f"{-1 if orbitals else 1} {start}"]
    lines += [
        f"{counts * n} " + " ".join("0.5" if a == axis else "0.0" for a in range(3))
        for axis, n in enumerate(values.shape[:3])
    ]
    lines.append("1 1.0 0.25 0.0 0.0")
    if orbitals:
        lines.append(f"{len(orbitals)} {' '.join(map(str, orbitals))}")
    numbers = [
        f"{float(v):.5E}".replace("E", "D" if i % 7 == 3 else "E") for i, v in enumerate(values.ravel())
    ]
    lines += [" ".join(numbers[i : i + 6]) for i in range(0, len(numbers), 6)]
    return "\n".join(lines) + "\n"


def test_a_pair_of_cubes_is_complex_and_angstrom_is_converted(tmp_path: Path) -> None:
    psi = wave(1, 3, 4, 5)[0]
    for name, values in (("re", psi.real), ("im", psi.imag)):
        (tmp_path / f"{name}.cube").write_text(cube_text(values, counts=-1, start="-1.0 0 0"))
    with closing(open_source(f"{tmp_path}/re.cube,{tmp_path}/im.cube")) as source:
        np.testing.assert_allclose(whole(source)[0], psi, rtol=1e-5, atol=1e-5)
        assert source.grid.axes[1] == Axis(origin=-ANGSTROM, step=ANGSTROM / 2, unit="bohr")
        assert source.atoms.tolist() == [[1, 1, 0.25 * ANGSTROM, 0, 0]]  # type: ignore[attr-defined] # of CubeField
        assert "Z=1 at" in source.understood()["atoms"]  # type: ignore[attr-defined] # of CubeField
    (tmp_path / "im.cube").write_text(cube_text(psi.imag))
    with pytest.raises(InvalidInput, match="unequal grids"):
        open_source(f"{tmp_path}/re.cube,{tmp_path}/im.cube")


def test_an_orbital_is_chosen_by_its_number(tmp_path: Path) -> None:
    values = np.arange(3 * 4 * 5 * 3.0).reshape(3, 4, 5, 3)
    (tmp_path / "mo.cube").write_text(cube_text(values, orbitals=(5, 6, 9)))
    with closing(open_source(f"{tmp_path}/mo.cube:mo=6")) as source:
        np.testing.assert_array_equal(whole(source)[0], values[..., 1])
        assert default_name(source.spec) == "mo"
    with pytest.raises(InvalidInput, match=r"holds 3 orbitals: choose one, .*:mo=5, of 5, 6, 9"):
        open_source(f"{tmp_path}/mo.cube")
    with pytest.raises(InvalidInput, match="has no orbital 7: it has 5, 6, 9"):
        open_source(f"{tmp_path}/mo.cube:mo=7")


def test_a_large_cube_is_marked_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("qwf_async.source.formats.cube.cube_values")
    monkeypatch.setattr(module, "BLOCK_BYTES", 101)
    monkeypatch.setattr(module, "MARK_NUMBERS", 7)
    values = wave(1, 6, 5, 4)[0].real
    (tmp_path / "a.cube").write_text(cube_text(values))
    with closing(open_source(f"{tmp_path}/a.cube")) as source:
        for chunk in BoxPlan.cut(source.grid.shape, points=13):
            part = values[chunk.box.slices[1:]]
            np.testing.assert_allclose(source.read(chunk.box)[0].real, part, rtol=1e-5, atol=1e-5)


def test_records_of_a_classic_file_are_told_apart(tmp_path: Path) -> None:
    times = np.arange(4) * 0.5
    with netcdf_file(tmp_path / "a.nc", "w") as file:
        file.createDimension("t", None)
        file.createDimension("x", 3)
        file.createVariable("t", "f8", ("t",))[:] = times
        file.createVariable("n", "i2", ("t", "x"))[:] = np.arange(12).reshape(4, 3)
        file.createVariable("psi", "f4", ("t", "x"))[:] = np.arange(12).reshape(4, 3)
        file.variables["t"].units = "a.u."
    with closing(open_source(f"{tmp_path}/a.nc:psi")) as source:
        np.testing.assert_array_equal(whole(source)[..., 0, 0], np.arange(12).reshape(4, 3))
        assert source.grid.axes[0] == Axis(origin=0.0, step=0.5, unit="hbar/Eh")


def h5(path: Path, **sets: Any) -> str:
    with h5py.File(path / "a.h5", "w") as file:
        for name, values in sets.items():
            file[name.replace("__", "/")] = values
    return f"{path}/a.h5"


def half_named(path: Path) -> str:
    name = h5(path, psi=wave(5, 4, 3))
    with h5py.File(name, "a") as file:
        file["psi"].dims[1].label = "lat"
    return name


def empty(path: Path) -> str:
    (path / "a.zarr").mkdir()
    return f"{path}/a.zarr"


REFUSALS: dict[str, tuple[Callable[[Path], str], str]] = {
    "wrong path": (lambda p: h5(p, a__psi=wave(4), b=[1.0]) + ":/psi", "has no array 'psi': it has a/psi, b"),
    "several": (lambda p: h5(p, u=wave(4), v=wave(4)), "holds 2 arrays: name one as .*; it has u, v"),
    "half": (lambda p: h5(p, psi_re=[1.0, 2.0, 3.0]), "holds psi_re but no im that belongs to it"),
    "no half": (lambda p: h5(p, re=[1.0, 2.0], x=[1.0]) + ":re,im", "has no array 'im': it has re, x"),
    "unequal": (lambda p: h5(p, re=[1.0, 2.0], im=[1.0]), "unequal shapes"),
    "two points or parts": (
        lambda p: h5(p, psi=np.ones((4, 4, 2))),
        "dims='x,y,c' says parts, dims='x,y,z' points",
    ),
    "half named": (
        half_named,
        "one without a name, lat, one without a name: that is none of .*, as in dims='x,y,z'$",
    ),
    "text": (lambda p: h5(p, psi=["a", "b"]), "holds no array of numbers"),
    "a number": (lambda p: h5(p, psi=1.0), "holds no array of numbers"),
    "five": (lambda p: h5(p, psi=np.ones((3, 3, 3, 3, 3))), "four at most"),
    "empty": (lambda p: h5(p, psi=np.ones((3, 0))), "is empty"),
    "no file": (lambda p: f"{p}/none.h5:/psi", "none.h5 cannot be opened: No such file"),
    "no member": (lambda p: npz(p, wave(3)).replace(":psi", ":phi"), "has no array 'phi': it has psi, other"),
    "raw length": (lambda p: raw(p, wave(3)).replace("shape=3", "shape=4"), "has 53 bytes, where 4 numbers"),
    "raw shape": (lambda p: raw(p, wave(3)).partition(":shape")[0], "is raw: give its shape"),
    "raw type": (lambda p: raw(p, wave(3)).replace(">c16", "c15"), "dtype=c15 is none of"),
    "too much after npy": (lambda p: f"{p}/a.npy:psi", "is one array: nothing can follow it"),
    "half a pair of cubes": (lambda p: f"{p}/re.cube,", "one cube file, or two"),
    "no directory": (lambda p: f"{p}/none.zarr", "none.zarr cannot be opened"),
    "empty directory": (empty, "is a directory, and no Zarr hierarchy"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    make, message = REFUSALS[case]
    with pytest.raises(InvalidInput, match=message) as caught:
        open_source(make(tmp_path)).close()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("dims", "error", "message"),
    [
        ("x,y", InvalidInput, "has 3 dimensions of 3×4×5 points, but dims names 2"),
        ("x,y,y", InvalidInput, "two of its dimensions would be y"),
        ("x,y,-", InvalidInput, "a dimension of 5 points cannot be left out"),
        ("x,y,c", InvalidInput, "a dimension of two real numbers"),
        ("x,y,w", UsageError, "cannot be read"),
        ("lon=x", InvalidInput, "has no dimension 'lon'"),
        ("=x", UsageError, "cannot be read"),
    ],
)
def test_dims_that_do_not_fit_are_refused(
    tmp_path: Path, dims: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_source(h5(tmp_path, psi=wave(3, 4, 5)), dims=dims)


def test_a_file_that_is_changed_or_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    text = npz(tmp_path, wave(8, 8, 8))
    with closing(open_source(text)) as source:
        source.read(source.grid.whole)
        with (tmp_path / "psi.npz").open("ab") as file:
            file.write(b"x")
        with pytest.raises(InvalidInput, match="changed while it was read"):
            source.read(source.grid.whole)


def test_what_was_told_of_a_raw_file_is_part_of_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(96))
    texts = [f"{tmp_path}/a.raw:shape=6,dtype={t}" for t in ("c16", ">c16")]
    texts += [f"{tmp_path}/a.raw:shape=2x3,order={order}" for order in "CF"]
    found = set()
    for text in texts:
        with closing(open_source(text)) as source:
            found.add(source.fingerprint())
    assert len(found) == 4


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", psi=np.array([{}, []], dtype=object))
    with pytest.raises(InvalidInput, match="holds Python objects"):
        open_source(f"{tmp_path}/a.npz")


def test_a_compressed_member_is_refused_out_of_order(tmp_path: Path) -> None:
    text = npz_compressed(tmp_path, wave(4, 4, 4))
    with closing(open_source(text)) as source:
        variable = source.parts[0]  # type: ignore[attr-defined] # of VariableSource

        def read(rows: Sequence[int]) -> None:
            for row in rows:
                variable.read((slice(row, row + 1), slice(0, 4), slice(0, 4)))

        read((3, 0) * 4)
        with pytest.raises(InvalidInput, match="asked for out of its order"):
            read((3, 0) * 8)


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    text = h5(tmp_path, psi=wave(3))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r"reading HDF5 needs h5py.*pip install 'qwf_async\[files\]'"):
        open_source(text)


def test_a_stored_member_behind_a_header_of_its_own_length_is_found(tmp_path: Path) -> None:
    psi = wave(5)
    np.save(tmp_path / "psi.npy", psi)
    info = zipfile.ZipInfo("psi.npy")
    info.extra = struct.pack("<HH4x", 0x7777, 4)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr(info, (tmp_path / "psi.npy").read_bytes())
    with closing(open_source(f"{tmp_path}/a.npz")) as source:
        np.testing.assert_array_equal(whole(source)[0, :, 0, 0], psi)
