"""Several files as the frames of one wavefunction, against the array that they were cut from."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray
import zarr
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis, Grid
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import files, open_source
from qwf_async.source.formats import frames
from qwf_async.source.text import default_name
from tests.conftest import Server
from tests.source.written_files import cube_text, whole
from tests.support.command import Shell
from tests.support.loads import wave

Array = NDArray[Any]
PSI = wave(12, 6, 5, 4)


def npy(path: Path, psi: Array) -> str:
    np.save(path.with_suffix(".npy"), psi)
    return ".npy"


def npy_fortran(path: Path, psi: Array) -> str:
    np.save(path.with_suffix(".npy"), np.asfortranarray(psi))
    return ".npy"


def npz(path: Path, psi: Array) -> str:
    np.savez_compressed(path.with_suffix(".npz"), psi=psi, other=1.0)
    return ".npz:psi"


def hdf5(path: Path, psi: Array) -> str:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_dataset("g/psi", data=psi, chunks=(4, 2, 3), compression=1)
    return ".h5:/g/psi"


def hdf5_one_time(path: Path, psi: Array) -> str:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["re"], file["im"] = psi.real[None], psi.imag[None]
    return ".h5"


def netcdf(path: Path, psi: Array) -> str:
    with h5netcdf.File(path.with_suffix(".nc"), "w") as file:
        file.dimensions = dict(zip("zyx", psi.shape[::-1], strict=True)) | {"ri": 2}
        file.create_variable(
            "psi", (*"zyx", "ri"), data=np.stack([psi.real, psi.imag], -1).transpose(2, 1, 0, 3)
        )
    return ".nc"


def zarr_directory(path: Path, psi: Array) -> str:
    zarr.create_array(path.with_suffix(".zarr"), data=psi, chunks=(3, 3, 3))
    return ".zarr"


def raw(path: Path, psi: Array) -> str:
    path.with_suffix(".dat").write_bytes(psi.tobytes())
    return f".dat:shape={'x'.join(map(str, psi.shape))},dtype=c16"


MAKERS = (npy, npy_fortran, npz, hdf5, hdf5_one_time, netcdf, zarr_directory, raw)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_files_of_a_pattern_are_frames_in_natural_order(
    tmp_path: Path, make: Callable[[Path, Array], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_OPEN_FRAMES", 3)
    order = list(range(12))
    random.Random(1).shuffle(order)
    for number in order:
        rest = make(tmp_path / f"fr_{number}", PSI[number])
    text = f"{tmp_path}/fr_*{rest}"
    assert default_name(text) == "fr"
    with closing(open_source(text)) as source:
        assert source.grid == Grid(shape=PSI.shape)
        for plan in (
            BoxPlan.cut(PSI.shape, order=source.order, points=50),
            BoxPlan.cut(PSI.shape, order=source.order, points=300),
            BoxPlan.cut(PSI.shape, points=200, unit=(1, 4, 4, 4)),
        ):
            for chunk in plan:
                np.testing.assert_array_equal(source.read(chunk.box), PSI[chunk.box.slices])
        first = source.fingerprint()
    with closing(open_source(text)) as again:
        assert again.fingerprint() == first
        os.utime(tmp_path / f"fr_7{rest.partition(':')[0]}", ns=(1, 1))
        if make is not zarr_directory:  # of a directory its files are looked at
            assert again.fingerprint() != first


def test_a_list_is_taken_in_its_own_order(tmp_path: Path) -> None:
    for number in range(12):
        npy(tmp_path / f"fr_{number}", PSI[number])
    backwards = [tmp_path / f"fr_{number}.npy" for number in reversed(range(12))]
    with closing(files(backwards, box=4, dt=0.5)) as source:
        np.testing.assert_array_equal(whole(source), PSI[::-1])
        assert source.grid == Grid.of((6, 5, 4), box=(4,), frames=12, dt=0.5)
        assert "fr_11.npy to " in source.spec
        assert source.understood()["read from"].endswith("fr_0.npy (12 files)")
    with closing(files(backwards[:1])) as source:
        np.testing.assert_array_equal(whole(source)[0], PSI[11])
    with closing(files([f"{tmp_path}/fr_?.npy", f"{tmp_path}/fr_1[0-1].npy"])) as source:
        np.testing.assert_array_equal(whole(source), PSI)
    with pytest.raises(InvalidInput, match="no files"):
        files([])


def test_pairs_of_cubes_are_frames(tmp_path: Path) -> None:
    values = np.round(PSI[:3], 3)
    for number in range(3):
        (tmp_path / f"re_{number}.cube").write_text(cube_text(values[number].real))
        (tmp_path / f"im_{number}.cube").write_text(cube_text(values[number].imag))
    with closing(open_source(f"{tmp_path}/re_*.cube,{tmp_path}/im_*.cube", dt=2.0)) as source:
        np.testing.assert_allclose(whole(source), values, rtol=1e-5, atol=1e-5)
        assert source.grid.axes[1] == Axis(origin=0.0, step=0.5, unit="bohr")
        assert source.grid.axes[0].step == 2.0
    (tmp_path / "im_2.cube").unlink()
    with pytest.raises(InvalidInput, match=r"3 files are like .*re_\*.cube, but 2 like"):
        open_source(f"{tmp_path}/re_*.cube,{tmp_path}/im_*.cube")


def test_the_times_of_the_files_become_the_axis(tmp_path: Path) -> None:
    for number in range(3):
        at = xarray.DataArray(
            PSI[number].real[None],
            dims=("time", "x", "y", "z"),
            coords={"time": ("time", [0.5 + 0.25 * number], {"units": "a.u."}), "x": np.arange(6.0)},
            name="psi",
        )
        at.to_netcdf(tmp_path / f"run.{number}.nc", engine="h5netcdf")
    with closing(open_source(f"{tmp_path}/run.*.nc")) as source:
        assert source.grid.axes[0] == Axis(origin=0.5, step=0.25, unit="hbar/Eh")
        assert source.grid.axes[1].step == 1.0
        np.testing.assert_array_equal(whole(source), PSI[:3].real)
    (tmp_path / "run.1.nc").unlink()
    with closing(open_source(f"{tmp_path}/run.*.nc")) as source:
        assert source.grid.axes[0].step == 0.5


def other_axis(path: Path) -> None:
    with h5py.File(path / "fr_10.h5", "w") as file:
        psi = file.create_dataset("psi", data=PSI[0])
        for place, name in enumerate("xyz"):
            file[name] = np.arange(float(psi.shape[place]))
            file[name].make_scale(name)
            psi.dims[place].attach_scale(file[name])


UNLIKE: dict[str, tuple[Callable[[Path], object], str]] = {
    "shape": (lambda p: np.save(p / "fr_10.npy", PSI[0, :-1]), "fr_10.npy is not like .*: its shape: x=5, y=5"),
    "dtype": (lambda p: np.save(p / "fr_10.npy", PSI[0].astype("c8")), "fr_10.npy .*: its dtype: complex64, not"),
    "axis": (other_axis, "fr_10.h5 is not like .*: its axis x: "),
    "more frames": (lambda p: np.save(p / "fr_10.npy", PSI[:2]), "fr_10.npy holds 2 times"),
    "no array": (lambda p: (p / "fr_10.npy").write_text("no"), "fr_10.npy is text"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNLIKE)
def test_a_file_that_is_not_like_the_first_is_named(tmp_path: Path, case: str) -> None:
    make, message = UNLIKE[case]
    for number in range(10):
        npy(tmp_path / f"fr_{number}", PSI[number])
    make(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        open_source(f"{tmp_path}/fr_*")


def test_a_frame_that_is_changed_while_others_are_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_OPEN_FRAMES", 2)
    for number in range(12):
        npy(tmp_path / f"fr_{number}", PSI[number])
    plan = BoxPlan.cut(PSI.shape, points=PSI[0].size)
    with closing(open_source(f"{tmp_path}/fr_*.npy")) as source:
        np.save(tmp_path / "fr_5.npy", 2 * PSI[5])
        for chunk in list(plan)[:5]:
            source.read(chunk.box)
        with pytest.raises(InvalidInput, match=r"fr_5.npy was changed while it was read"):
            source.read(plan[5].box)
    with closing(open_source(f"{tmp_path}/fr_*.npy")) as source:
        for chunk in list(plan)[:-1]:
            source.read(chunk.box)
        os.utime(tmp_path / "fr_0.npy", ns=(1, 1))
        with pytest.raises(InvalidInput, match=r"fr_0.npy was changed while it was read"):
            source.read(plan[len(plan) - 1].box)


def test_frames_are_stored_and_resumed_by_the_command_line(tmp_path: Path, server: Server) -> None:
    for number in range(12):
        npy(tmp_path / f"fr_{number}", PSI[number])
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    stored, again, none, exported = shell.each(
        ["ingest", "fr_*.npy", "--dt", "0.5", "--layout", "tile"],
        ["ingest", "fr_*.npy", "--dt", "0.5", "--layout", "tile", "--resume"],
        ["ingest", "gone_*.npy"],
        ["export", "fr", "out.npy"],
    )
    assert (stored.status, again.status, none.status, exported.status) == (0, 0, 7, 0)
    assert "stored already" in again.err
    assert none.lines == ["qwf: no file has a name like gone_*.npy (exit 7)"]
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), PSI)
    os.utime(tmp_path / "fr_3.npy", ns=(1, 1))
    assert shell.qwf("ingest", "fr_*.npy", "--dt", "0.5", "--layout", "tile", "--resume").status == 8


def test_each_packed_file_is_unpacked_as_it_says_itself(tmp_path: Path) -> None:
    stored = np.arange(24, dtype=np.int16).reshape(4, 6)
    for number in range(3):
        with h5netcdf.File(tmp_path / f"fr_{number}.nc", "w") as file:
            file.dimensions = {"x": 4, "y": 6}
            psi = file.create_variable("psi", ("x", "y"), data=stored)
            psi.attrs["scale_factor"], psi.attrs["add_offset"] = 0.5 * (number + 1), float(number)
    with closing(open_source(f"{tmp_path}/fr_*.nc")) as source:
        for number in range(3):
            np.testing.assert_array_equal(whole(source)[number, ..., 0], stored * 0.5 * (number + 1) + number)


def test_times_beside_the_frames_become_the_axis_if_they_are_one(tmp_path: Path) -> None:
    for number in range(4):
        np.savez(tmp_path / f"fr_{number}.npz", psi=PSI[number], t=[0.5 * number], x=np.arange(6.0))
    text = f"{tmp_path}/fr_*.npz:psi"
    with closing(open_source(text)) as source:
        assert source.grid.axes[0] == Axis(origin=0.0, step=0.5)
        assert source.grid.axes[1].step == 1.0
        np.testing.assert_array_equal(whole(source), PSI[:4])
    np.savez(tmp_path / "fr_2.npz", psi=PSI[2], t=[1.25], x=np.arange(6.0))
    with pytest.raises(
        InvalidInput, match=r"the time of .*fr_3.npz:psi \(4 files\) is not evenly spaced: point 2"
    ):
        open_source(text)
    with closing(open_source(text, dt=0.25)) as source:
        assert source.grid.axes[0].step == 0.25
    np.savez(tmp_path / "fr_2.npz", psi=PSI[2], t=[1.0], x=np.arange(6.0) + 1)
    with pytest.raises(InvalidInput, match=r"fr_2.npz:psi is not like .*fr_0.npz:psi, .*: its axis x: "):
        open_source(text)
