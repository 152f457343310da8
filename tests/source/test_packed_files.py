"""Packed and masked data in files of every format, beside xarray reading the same file."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import closing
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
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import open_source
from qwf_async.source.formats import block_cache

Array = NDArray[Any]
Attributes = dict[str, Any]
SHAPE = (5, 6, 4)
DIMENSIONS = ("x", "y", "z")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blocks are treated as large ones are."""
    monkeypatch.setattr(block_cache, "RUN_BYTES", 1)
    monkeypatch.setattr(sys.modules["qwf_async.source.formats.hdf5.hdf5_blocks"], "PLAIN_BYTES", 1)


def netcdf(kind: Any, **how: Any) -> Callable[[Path, Array, Attributes], Path]:
    def write(path: Path, stored: Array, attributes: Attributes) -> Path:
        with netCDF4.Dataset(path / "psi.nc", "w", format=kind) as file:
            for name, size in zip(DIMENSIONS, stored.shape, strict=True):
                file.createDimension(name, size)
            fill = attributes.get("_FillValue")
            psi = file.createVariable("psi", stored.dtype, DIMENSIONS, fill_value=fill, **how)
            psi.set_auto_maskandscale(False)
            psi.setncatts({name: value for name, value in attributes.items() if name != "_FillValue"})
            psi[...] = stored
        return path / "psi.nc"

    return write


def hdf5(path: Path, stored: Array, attributes: Attributes, **how: Any) -> Path:
    with h5py.File(path / "psi.h5", "w") as file:
        file.create_dataset("psi", data=stored, **how).attrs.update(attributes)
        for dimension, name in zip(file["psi"].dims, DIMENSIONS, strict=True):
            dimension.label = name
    return path / "psi.h5"


def to_zarr(version: Any, **how: Any) -> Callable[[Path, Array, Attributes], Path]:
    def write(path: Path, stored: Array, attributes: Attributes) -> Path:
        data = xarray.Dataset({"psi": (DIMENSIONS, stored, attributes)})
        if "_FillValue" not in attributes:
            data["psi"].encoding["_FillValue"] = None
        data["psi"].encoding |= how
        data.to_zarr(path / "psi.zarr", zarr_format=version, consolidated=False)
        return path / "psi.zarr"

    return write


FORMATS: dict[str, Callable[[Path, Array, Attributes], Path]] = {
    "NetCDF 3": netcdf("NETCDF3_64BIT_DATA"),
    "NetCDF 4": netcdf("NETCDF4"),
    "NetCDF 4 in blocks": netcdf("NETCDF4", chunksizes=(2, 3, 4)),
    "NetCDF 4 packed again": netcdf("NETCDF4", chunksizes=(2, 3, 4), compression="zlib"),
    "HDF5": hdf5,
    "HDF5 in blocks": lambda *what: hdf5(*what, chunks=(2, 3, 4)),
    "Zarr 2": to_zarr(2),
    "Zarr 3": to_zarr(3, chunks=(2, 3, 4)),
    "Zarr 3 of plain numbers": to_zarr(3, chunks=(2, 3, 4), compressors=None),
}

NUMBERS = np.random.default_rng(5).integers(-6, 7, SHAPE)
SINGLE, DOUBLE = np.float32, np.float64
ATTRIBUTES: dict[str, tuple[str, Attributes]] = {
    "scaled": ("i2", {"scale_factor": SINGLE(0.001)}),
    "moved": ("i2", {"add_offset": SINGLE(0.1)}),
    "scaled and moved": ("i1", {"scale_factor": SINGLE(0.1), "add_offset": SINGLE(3)}),
    "scaled from four bytes": ("i4", {"scale_factor": SINGLE(0.1), "add_offset": SINGLE(3)}),
    "scaled in double": (
        "i2",
        {"scale_factor": DOUBLE(0.1), "add_offset": DOUBLE(3), "_FillValue": np.int16(5)},
    ),
    "scaled twice over": ("i2", {"scale_factor": SINGLE(0.1), "add_offset": DOUBLE(3)}),
    "scaled reals": ("f4", {"scale_factor": DOUBLE(0.1), "_FillValue": SINGLE(4)}),
    "missing bytes": ("i1", {"_FillValue": np.int8(-3)}),
    "missing integers": ("i4", {"_FillValue": np.int32(-3)}),
    "missing long integers": ("i8", {"_FillValue": np.int64(-3)}),
    "missing singles": ("f4", {"_FillValue": SINGLE(-3)}),
    "missing reals": ("f8", {"missing_value": DOUBLE(-3)}),
    "several missing": ("f8", {"_FillValue": DOUBLE(-3), "missing_value": np.array([1.0, 2.0])}),
    "missing that are none": ("f8", {"_FillValue": DOUBLE(99)}),
    "missing NaN": ("f8", {"_FillValue": DOUBLE(np.nan)}),
    "unsigned": ("i1", {"_Unsigned": "true"}),
    "unsigned, scaled, missing": (
        "i1",
        {"_Unsigned": "true", "_FillValue": np.int8(-1), "scale_factor": SINGLE(0.1)},
    ),
    "signed": ("u1", {"_Unsigned": "false", "_FillValue": np.uint8(3)}),
}


def xarray_reads(path: Path) -> Array:
    how: Any = {
        ".nc": {"engine": "netcdf4"},
        ".h5": {"engine": "h5netcdf", "phony_dims": "sort"},
        ".zarr": {"engine": "zarr", "consolidated": False},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xarray.open_dataset(path, **how[path.suffix]) as data:
            values: Array = data["psi"].values
            return values


def read(path: Path, text: str = "", **options: Any) -> Array:
    with closing(open_source(f"{path}{text}", **options)) as source:
        values: Array = source.read(source.grid.whole)[0]
        return values


@pytest.mark.parametrize("kind", ATTRIBUTES)
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_read_as_xarray_reads_it(form: str, kind: str, tmp_path: Path) -> None:
    dtype, attributes = ATTRIBUTES[kind]
    stored = NUMBERS.astype(dtype)
    path = FORMATS[form](tmp_path, stored, attributes)
    wanted = xarray_reads(path)
    with closing(open_source(str(path))) as source:
        whole = source.read(source.grid.whole)
        np.testing.assert_array_equal(whole[0].real, wanted)
        np.testing.assert_array_equal(whole[0].imag, 0)
        single = wanted.dtype == np.float32
        assert whole.dtype == (np.complex64 if single else np.complex128)
        for chunk in BoxPlan.cut(source.grid.shape, points=30):
            np.testing.assert_array_equal(source.read(chunk.box), whole[chunk.box.slices])


def test_xarray_and_this_are_not_alike_for_reading_raw_numbers(tmp_path: Path) -> None:
    """What the table above compares are not the stored numbers."""
    for kind, (dtype, attributes) in ATTRIBUTES.items():
        stored = NUMBERS.astype(dtype)
        path = tmp_path / kind
        path.mkdir()
        same = np.array_equal(read(FORMATS["NetCDF 4"](path, stored, attributes)).real, stored)
        assert same == (kind in ("missing that are none", "missing NaN")), kind


FILLED = ["i2", "i4", "i8", "u2", "u4", "u8", "f4", "f8"]
BYTES = ["i1", "u1"]
COMPLEX_FILL = complex(1e20, 1e20)


def with_hole(psi: Array) -> Array:
    psi = psi.copy()
    psi[2, 3, 1] = COMPLEX_FILL
    return psi


def complex_hdf5(path: Path, psi: Array) -> str:
    return str(hdf5(path, psi, {"_FillValue": np.complex128(COMPLEX_FILL)}))


def complex_records(path: Path, psi: Array) -> str:
    records = np.empty(psi.shape, [("real", "f8"), ("imag", "f8")])
    records["real"], records["imag"] = psi.real, psi.imag
    return str(hdf5(path, records, {"_FillValue": np.array((1e20, 1e20), records.dtype)}))


def complex_zarr(version: int) -> Callable[[Path, Array], str]:
    def write(path: Path, psi: Array) -> str:
        return str(to_zarr(version)(path, psi, {"_FillValue": np.complex128(COMPLEX_FILL)}))

    return write


def last_of_two(path: Path, psi: Array) -> str:
    with netCDF4.Dataset(path / "psi.nc", "w") as file:
        for name, size in zip((*DIMENSIONS, "ri"), (*psi.shape, 2), strict=True):
            file.createDimension(name, size)
        file.createVariable("psi", "f8", (*DIMENSIONS, "ri"), fill_value=1e20)[...] = np.stack(
            [psi.real, psi.imag], -1
        )
    return f"{path}/psi.nc"


def pair(path: Path, psi: Array) -> str:
    with netCDF4.Dataset(path / "psi.nc", "w", format="NETCDF3_CLASSIC") as file:
        for name, size in zip(DIMENSIONS, psi.shape, strict=True):
            file.createDimension(name, size)
        for name, part in (("re", psi.real), ("im", psi.imag)):
            one = file.createVariable(name, "f8", DIMENSIONS)
            one.missing_value = 1e20
            one[...] = part
    return f"{path}/psi.nc"


@pytest.mark.parametrize(
    "write",
    [complex_hdf5, complex_records, complex_zarr(2), complex_zarr(3), last_of_two, pair],
    ids=["HDF5", "records", "Zarr 2", "Zarr 3", "last of two", "pair"],
)
def test_a_missing_complex_number_is_nan_in_both_parts(
    write: Callable[[Path, Array], str], tmp_path: Path
) -> None:
    psi = np.random.default_rng(6).normal(size=(*SHAPE, 2)).view(np.complex128)[..., 0]
    got = read(Path(write(tmp_path, with_hole(psi))))
    assert np.isnan(got[2, 3, 1].real)
    assert np.isnan(got[2, 3, 1].imag)
    got[2, 3, 1] = psi[2, 3, 1]
    np.testing.assert_array_equal(got, psi)


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF4"])
def test_each_part_of_a_pair_has_a_packing_of_its_own(form: Any, tmp_path: Path) -> None:
    re, im = np.arange(6, dtype="i2"), np.arange(6, dtype="f4")
    with netCDF4.Dataset(tmp_path / "psi.nc", "w", format=form) as file:
        file.createDimension("x", 6)
        for name, part, fill in (("re", re, -9), ("im", im, 4)):
            file.createVariable(name, part.dtype, ("x",), fill_value=fill)
            file[name].set_auto_maskandscale(False)
            file[name][:] = part
        file["re"].scale_factor = 0.1
    got = read(tmp_path / "psi.nc")[:, 0, 0]
    assert got.dtype == np.complex128
    np.testing.assert_array_equal(got.real, re * 0.1)
    np.testing.assert_array_equal(got.imag, [0, 1, 2, 3, np.nan, 5])


@pytest.mark.parametrize(
    ("form", "dtype"),
    [(form, dtype) for form in ("NETCDF3_64BIT_DATA", "NETCDF4", "Zarr") for dtype in FILLED]
    + [(form, dtype) for form in ("NETCDF3_64BIT_DATA", "NETCDF4") for dtype in BYTES],
)
def test_points_of_netcdf_that_were_never_written_are_missing_but_in_bytes(
    form: Any, dtype: str, tmp_path: Path
) -> None:
    name = f"file://{tmp_path}/psi.zarr#mode=zarr,file" if form == "Zarr" else f"{tmp_path}/psi.nc"
    with netCDF4.Dataset(name, "w", format="NETCDF4" if form == "Zarr" else form) as file:
        file.createDimension("x", 6)
        file.createVariable("psi", dtype, ("x",))[:4] = [1, 2, 3, 4]
    got = read(tmp_path / ("psi.zarr" if form == "Zarr" else "psi.nc"))[:, 0, 0]
    np.testing.assert_array_equal(got[:4], [1, 2, 3, 4])
    assert np.isnan(got[4:]).all() == (dtype in FILLED)


def test_a_file_of_an_old_netcdf_library_is_known_by_its_dimensions(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "psi.nc", "w") as file:
        file.createDimension("x", 6)
        file.createVariable("psi", "i4", ("x",))[:4] = [1, 2, 3, 4]
    with h5py.File(tmp_path / "psi.nc", "r+") as raw:
        del raw.attrs["_NCProperties"]
    np.testing.assert_array_equal(read(tmp_path / "psi.nc")[:, 0, 0], [1, 2, 3, 4, np.nan, np.nan])


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF4"])
def test_attributes_are_read_as_texts_and_arrays_too(form: Any, tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "psi.nc", "w", format=form) as file:
        file.createDimension("x", 6)
        psi = file.createVariable("psi", "i1", ("x",))
        psi.set_auto_maskandscale(False)
        psi[:] = [1, 2, -1, -2, -3, 3]
        (psi.setncattr_string if form == "NETCDF4" else psi.setncattr)("_Unsigned", "true")
        psi.scale_factor, psi.missing_value = np.array([0.5], "f4"), np.array([-1, -2], "i1")
        psi.add_offset = "1"
    np.testing.assert_array_equal(read(tmp_path / "psi.nc")[:, 0, 0], [1.5, 2, np.nan, np.nan, 127.5, 2.5])


def test_a_default_of_netcdf_is_a_number_in_other_files(tmp_path: Path) -> None:
    psi = np.full(SHAPE, -32767, "i2")
    np.testing.assert_array_equal(read(hdf5(tmp_path, psi, {})), psi)


def test_the_fill_value_of_zarr_is_a_number_where_xarray_does_not_take_it_for_missing(tmp_path: Path) -> None:
    psi = np.zeros(SHAPE)
    zarr.create_array(tmp_path / "2.zarr", data=psi, zarr_format=2)
    zarr.create_array(tmp_path / "3.zarr", data=psi, dimension_names=DIMENSIONS)
    group = zarr.open_group(tmp_path / "named.zarr", mode="w", zarr_format=2)
    group.create_array("psi", data=psi).attrs["_ARRAY_DIMENSIONS"] = DIMENSIONS
    for name in ("2.zarr", "3.zarr"):
        np.testing.assert_array_equal(read(tmp_path / name), psi)
    assert np.isnan(xarray_reads(tmp_path / "named.zarr")).all()
    assert np.isnan(read(tmp_path / "named.zarr")).all()


def test_each_of_several_files_has_a_packing_of_its_own(tmp_path: Path) -> None:
    wanted = []
    for number, scale in enumerate((0.5, 0.25, 2.0)):
        (tmp_path / str(number)).mkdir()
        packing = {"scale_factor": scale, "add_offset": float(number), "_FillValue": np.int16(number)}
        path = netcdf("NETCDF4")(tmp_path / str(number), NUMBERS.astype("i2"), packing)
        wanted.append(xarray_reads(path))
        path.rename(tmp_path / f"frame{number}.nc")
    with closing(open_source(f"{tmp_path}/frame*.nc")) as source:
        np.testing.assert_array_equal(source.read(source.grid.whole).real, wanted)
    netcdf("NETCDF4")(tmp_path, NUMBERS.astype("i2"), {}).rename(tmp_path / "frame1.nc")
    with pytest.raises(InvalidInput, match="its dtype: float32, not float64"):
        open_source(f"{tmp_path}/frame*.nc")


def test_what_was_understood_of_packed_numbers_is_said(tmp_path: Path) -> None:
    path = netcdf("NETCDF4")(
        tmp_path, NUMBERS.astype("i2"), {"scale_factor": 0.5, "_FillValue": np.int16(-3)}
    )
    with closing(open_source(str(path))) as source:
        words = source.understood()  # type: ignore[attr-defined] # of VariableSource
        assert words["unpacked as"] == "int16 × 0.5"
        assert words["missing where"] == "-3"
        before = source.fingerprint()
    with closing(open_source(str(hdf5(tmp_path, NUMBERS, {})))) as source:
        assert not {"unpacked as", "missing where"} & source.understood().keys()  # type: ignore[attr-defined]
        assert source.fingerprint() != before
