"""Files of every format as sources, against the arrays that were written by the formats' own libraries."""

from __future__ import annotations

import struct
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import netcdf_file

from qwf_async.errors import UsageError
from qwf_async.lattice.grid import Axis, Box, Grid, shape4
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import open_source
from qwf_async.source.formats import block_cache
from qwf_async.source.text import default_name
from tests.source.written_files import (
    WRITERS,
    Writer,
    hdf5_blocks,
    hdf5_compound,
    netcdf_4,
    npz,
    npz_compressed,
    raw,
    raw_fortran,
    whole,
    zarr_3,
)
from tests.support.loads import wave

Array = NDArray[Any]


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


def test_a_stored_member_behind_a_header_of_its_own_length_is_found(tmp_path: Path) -> None:
    psi = wave(5)
    np.save(tmp_path / "psi.npy", psi)
    info = zipfile.ZipInfo("psi.npy")
    info.extra = struct.pack("<HH4x", 0x7777, 4)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr(info, (tmp_path / "psi.npy").read_bytes())
    with closing(open_source(f"{tmp_path}/a.npz")) as source:
        np.testing.assert_array_equal(whole(source)[0, :, 0, 0], psi)
