"""Which array of a file is ψ, and where its real and imaginary parts are, by every convention in use."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from scipy.io import netcdf_file

from qwf_async.errors import InvalidInput
from qwf_async.source import open_source
from tests.support.loads import wave

Array = NDArray[Any]
PSI = wave(4, 5, 6)
NAMED = dict(zip("xyz", PSI.shape, strict=True))


def values(source: str, **options: Any) -> Array:
    with closing(open_source(source, **options)) as opened:
        return opened.read(opened.grid.whole)


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"])
@pytest.mark.parametrize("dtype", ["c16", "c8"])
def test_complex_numbers_of_netcdf4_python_are_read(tmp_path: Path, form: Any, dtype: Any) -> None:
    """A compound in version 4, a dimension `_pfnc_complex` of two in version 3."""
    with netCDF4.Dataset(tmp_path / "psi.nc", "w", format=form, auto_complex=True) as file:
        for name, size in NAMED.items():
            file.createDimension(name, size)
        file.createVariable("psi", dtype, tuple("xyz"))[:] = PSI
        file.createVariable("potential", "f8", tuple("xyz"))[:] = PSI.real
    np.testing.assert_array_equal(values(f"{tmp_path}/psi.nc")[0], PSI.astype(dtype))


@pytest.mark.parametrize("name", ["_pfnc_complex", "complex", "ri", "real_imag", "RI"])
@pytest.mark.parametrize("first", [False, True])
def test_a_dimension_with_a_name_for_it_holds_the_parts(tmp_path: Path, name: str, first: bool) -> None:
    dimensions = (name, *"xyz") if first else (*"xyz", name)
    parts = np.stack([PSI.real, PSI.imag], 0 if first else -1)
    with netCDF4.Dataset(tmp_path / "four.nc", "w") as four, netcdf_file(tmp_path / "three.nc", "w") as three:
        for file in (four, three):
            for each, size in zip(dimensions, parts.shape, strict=True):
                file.createDimension(each, size)
            file.createVariable("psi", "f8", dimensions)[:] = parts
    for kind in ("three", "four"):
        np.testing.assert_array_equal(values(f"{tmp_path}/{kind}.nc")[0], PSI)
    zarr.create_array(tmp_path / "psi.zarr", data=parts, dimension_names=dimensions)
    np.testing.assert_array_equal(values(f"{tmp_path}/psi.zarr")[0], PSI)


@pytest.mark.parametrize("fields", [("r", "i"), ("Re", "Im"), ("real", "imag"), ("real", "imaginary")])
def test_records_of_two_numbers_are_complex(tmp_path: Path, fields: tuple[str, str]) -> None:
    records = np.empty(PSI.shape, [(name, "f8") for name in fields])
    records[fields[0]], records[fields[1]] = PSI.real, PSI.imag
    with h5py.File(tmp_path / "psi.h5", "w") as file:
        file["psi"], file["potential"] = records, PSI.real
    np.testing.assert_array_equal(values(f"{tmp_path}/psi.h5")[0], PSI)


def hdf5(path: Path, **arrays: Array) -> str:
    with h5py.File(path / "all.h5", "w") as file:
        for name, array in arrays.items():
            file[f"run/{name}"] = array
    return f"{path}/all.h5"


def netcdf_4(path: Path, **arrays: Array) -> str:
    with netCDF4.Dataset(path / "all.nc", "w", auto_complex=True) as file:
        for name, size in NAMED.items():
            file.createDimension(name, size)
        for name, array in arrays.items():
            file.createVariable(name, array.dtype, tuple("xyz"))[:] = array
    return f"{path}/all.nc"


def npz(path: Path, **arrays: Array) -> str:
    np.savez_compressed(path / "all.npz", **arrays, one=1j, text=np.array(["a"]))  # type: ignore[arg-type] # arrays all
    return f"{path}/all.npz"


def zarr_group(path: Path, **arrays: Array) -> str:
    group = zarr.open_group(path / "all.zarr", mode="w")
    for name, array in arrays.items():
        group.create_array(f"run/{name}", data=array)
    return f"{path}/all.zarr"


FILES: list[Callable[..., str]] = [hdf5, netcdf_4, npz, zarr_group]


@pytest.mark.parametrize("write", FILES)
def test_the_only_complex_array_is_taken_without_being_named(
    tmp_path: Path, write: Callable[..., str]
) -> None:
    source = write(tmp_path, a=PSI.real, psi=PSI, re=PSI.real, im=PSI.imag)
    np.testing.assert_array_equal(values(source)[0], PSI)


@pytest.mark.parametrize("write", FILES)
def test_of_two_complex_arrays_none_is_guessed(tmp_path: Path, write: Callable[..., str]) -> None:
    source = write(tmp_path, a=PSI.real, psi=PSI, phi=PSI)
    with pytest.raises(InvalidInput, match=r"holds [35] arrays: name one as .*:NAME; it has"):
        open_source(source)


@pytest.mark.parametrize("write", FILES)
@pytest.mark.parametrize("shape", [(2, 5, 6), (5, 6, 2), (2, 5, 6, 4), (2, 2)])
def test_a_pair_that_is_named_has_no_further_parts(
    tmp_path: Path, write: Callable[..., str], shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dimension of two is two frames, or two planes, and no question."""
    psi = wave(*shape)
    monkeypatch.setattr("tests.source.test_complex_members.NAMED", dict(zip("xyz", shape, strict=False)))
    if write is netcdf_4 and len(shape) != 3:
        return
    source = write(tmp_path, re=psi.real, im=psi.imag)
    inner = "run/" if write in (hdf5, zarr_group) else ""
    four = (1, *shape, *(1,) * (3 - len(shape))) if len(shape) < 4 else shape
    np.testing.assert_array_equal(values(f"{source}:{inner}re,{inner}im"), psi.reshape(four))
    with pytest.raises(InvalidInput, match="re and im are a dimension of two real numbers, not of "):
        open_source(f"{source}:{inner}re,{inner}im", dims=",".join(["c", *"xyzt"][: len(shape)]))


@pytest.mark.parametrize(
    ("sizes", "advice"),
    [
        ({"x": 4, "y": 5, "z": 6, "halves": 2}, "halves=c"),
        ({"halves": 2, "x": 4, "y": 5}, "halves=c"),
        ({"lon": 4, "lat": 5}, "lon=x,lat=y"),
        ({"time": 3, "lon": 4, "y": 5}, "lon=x"),
        ({"frame": 3, "a": 4, "b": 5, "c_": 6}, "frame=t,a=x,b=y,c_=z"),
        ({"frame": 3, "a": 4, "b": 5, "c_": 6, "p": 2}, "frame=t,a=x,b=y,c_=z,p=c"),
        ({"lon": 4, "mode": 1}, "lon=x"),
        ({"q": 2}, "q=x"),
    ],
)
def test_the_advice_on_dimensions_works_when_it_is_followed(
    tmp_path: Path, sizes: dict[str, int], advice: str
) -> None:
    with netcdf_file(tmp_path / "psi.nc", "w") as file:
        for name, size in sizes.items():
            file.createDimension(name, size)
        file.createVariable("psi", "f8", tuple(sizes))[:] = np.ones(tuple(sizes.values()))
    with pytest.raises(InvalidInput, match=r"is none of t, x, y, z; say by .*dims") as caught:
        open_source(f"{tmp_path}/psi.nc")
    said = re.search(r"as in .*dims[ =]'?([^' ]+)'?$", str(caught.value))
    assert said is not None
    assert said[1] == advice
    open_source(f"{tmp_path}/psi.nc", dims=said[1]).close()


def test_dimensions_that_are_too_many_get_no_advice_that_cannot_work(tmp_path: Path) -> None:
    with netcdf_file(tmp_path / "psi.nc", "w") as file:
        for name in "abcde":
            file.createDimension(name, 3)
        file.createVariable("psi", "f8", tuple("abcde"))[:] = np.ones((3,) * 5)
    with pytest.raises(InvalidInput, match=r"say by .*dims'? which is which$"):
        open_source(f"{tmp_path}/psi.nc")
