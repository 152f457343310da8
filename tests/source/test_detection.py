"""Files under names that say nothing of them, or something else: told by their content, or by what is the matter."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import shutil
import socket
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import zarr
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import files, hdf5, npy, open_source
from qwf_async.source import zarr as read_zarr
from qwf_async.source.text import default_name
from tests.source.written_files import (
    cube_text,
    hdf5_split,
    netcdf_3,
    netcdf_4,
    npz,
    npz_compressed,
    whole,
    zarr_2,
    zarr_3,
)
from tests.support.loads import wave

PSI = wave(3, 2, 4, 5)


def read(text: str, **options: Any) -> NDArray[Any]:
    with closing(open_source(text, **options)) as source:
        return whole(source)


def npy_file(path: Path, psi: NDArray[Any]) -> str:
    np.save(path / "psi.npy", psi)
    return f"{path}/psi.npy"


def hdf5_mat(path: Path, psi: NDArray[Any]) -> str:
    """As MATLAB 7.3 writes it: HDF5 behind 512 bytes of its own."""
    with h5py.File(path / "psi.mat", "w", userblock_size=512) as file_:
        file_["psi"] = psi
    with (path / "psi.mat").open("r+b") as block:
        block.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return f"{path}/psi.mat"


MAKERS = (npy_file, npz, npz_compressed, hdf5_split, hdf5_mat, netcdf_3, netcdf_4)


@pytest.mark.parametrize(
    "name", ["state", "state.dat", "state.npy", "state.h5", "state.cube", "a:b,c.out", "x.zip"]
)
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_file_of_any_name_is_told_by_its_content(
    tmp_path: Path, make: Callable[..., str], name: str
) -> None:
    text = make(tmp_path, PSI)
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / name)
    chosen = text[len(str(path)) :]
    np.testing.assert_array_equal(read(f"{tmp_path}/{name}{chosen}"), PSI)
    with closing(files(f"{tmp_path}/{name}{chosen}")) as source:
        assert source.spec == f"{tmp_path}/{name}{chosen}"


def test_a_cube_file_is_told_by_its_text(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    for name in ("density.txt", "re.out", "im.out"):
        (tmp_path / name).write_text(cube_text(values))
    np.testing.assert_array_equal(read(f"{tmp_path}/density.txt")[0], values)
    np.testing.assert_array_equal(read(f"{tmp_path}/re.out,{tmp_path}/im.out")[0], values * (1 + 1j))


@pytest.mark.parametrize("suffix", ["", ".raw", ".npy", ".h5", ".cube", ".gz"])
def test_numbers_alone_may_have_any_name_where_their_shape_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"psi{suffix}"
    path.write_bytes(PSI.tobytes())
    np.testing.assert_array_equal(read(f"{path}:shape=3x2x4x5,dtype=c16"), PSI)
    path.write_bytes(b"\x1f\x8b\x08" + bytes(13) + PSI.tobytes()[16:])  # begins as gzip does
    np.testing.assert_array_equal(read(f"{path}:dtype=c16,shape=3x2x4x5").ravel()[1:], PSI.ravel()[1:])


@pytest.mark.parametrize("make", [zarr_3, zarr_2], ids=lambda make: make.__name__)
def test_a_directory_that_is_zarr_may_have_any_name(tmp_path: Path, make: Callable[..., str]) -> None:
    chosen = make(tmp_path, PSI).partition(".zarr")[2]
    (tmp_path / "psi.zarr").rename(tmp_path / "run")
    np.testing.assert_array_equal(read(f"{tmp_path}/run{chosen}"), PSI)


@pytest.mark.parametrize("version", [2, 3])
def test_a_path_within_a_hierarchy_is_that_array_with_its_coordinates(tmp_path: Path, version: Any) -> None:
    group = zarr.open_group(tmp_path / "run.zarr", mode="w", zarr_format=version)
    inner = group.create_group("a")
    inner.create_array("b", data=PSI)
    for name, values in (("x", 1 + 0.5 * np.arange(4)), ("psi", np.arange(1, 5) * 1j)):
        one = inner.create_array(name, data=values, dimension_names=["x"] if version == 3 else None)
        if version == 2:
            one.attrs["_ARRAY_DIMENSIONS"] = ["x"]
    shutil.make_archive(str(tmp_path / "flat.zarr"), "zip", root_dir=tmp_path / "run.zarr")
    shutil.make_archive(str(tmp_path / "folder"), "zip", root_dir=tmp_path, base_dir="run.zarr")
    for text in (
        "run.zarr:/a/psi", "run.zarr/a/psi", "run.zarr/a:psi", "run.zarr/:a/psi", "run.zarr/a/psi/",
        "flat.zarr.zip:a/psi", "flat.zarr.zip/a/psi", "folder.zip:a/psi", "folder.zip/a/psi",
    ):  # fmt: skip
        with closing(open_source(f"{tmp_path}/{text}")) as source:
            np.testing.assert_array_equal(whole(source)[0, :, 0, 0], np.arange(1, 5) * 1j)
            assert source.grid.axes[1].step == 0.5
    assert default_name(f"{tmp_path}/run.zarr/a/psi") == "run"
    with pytest.raises(InvalidInput, match="has no array 'a/phi': it has"):
        open_source(f"{tmp_path}/run.zarr/a/phi")


def test_a_zip_file_of_two_hierarchies_is_asked_about(tmp_path: Path) -> None:
    for name in ("u", "v"):
        zarr.create_array(tmp_path / "runs" / name, data=PSI)
    shutil.make_archive(str(tmp_path / "runs"), "zip", root_dir=tmp_path / "runs")
    with pytest.raises(InvalidInput, match="holds 2 Zarr hierarchies: u, v"):
        open_source(f"{tmp_path}/runs.zip")


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_compressed_files_are_read(tmp_path: Path, make: Callable[..., str], packed: str) -> None:
    text = make(tmp_path, PSI)
    (path,) = tmp_path.iterdir()
    chosen = text[len(str(path)) :]
    again = tmp_path / f"{path.name}.{packed}"
    again.write_bytes(PACKERS[packed](path.read_bytes()))
    path.unlink()
    assert default_name(f"{again}{chosen}") == "psi"
    before = sorted(os.listdir(tmp_path))
    with closing(open_source(f"{again}{chosen}")) as source:
        np.testing.assert_array_equal(whole(source), PSI)
        first = source.fingerprint()
        os.utime(again)
        assert source.fingerprint() != first
    assert sorted(os.listdir(tmp_path)) == before
    if make is npy_file:
        with closing(npy(again)) as source:
            np.testing.assert_array_equal(whole(source), PSI)


def test_compressed_cubes_and_zip_files_of_zarr_are_read(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    for name in ("re", "im"):
        (tmp_path / f"{name}.cube.gz").write_bytes(gzip.compress(cube_text(values).encode()))
    np.testing.assert_array_equal(read(f"{tmp_path}/re.cube.gz,{tmp_path}/im.cube.gz")[0], values * (1 + 1j))
    zarr.create_array(tmp_path / "a", data=PSI)
    shutil.make_archive(str(tmp_path / "a"), "zip", root_dir=tmp_path / "a")
    (tmp_path / "a.zarr.zip.gz").write_bytes(gzip.compress((tmp_path / "a.zip").read_bytes()))
    np.testing.assert_array_equal(read(f"{tmp_path}/a.zarr.zip.gz"), PSI)


def test_a_compressed_file_that_is_damaged_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = gzip.compress(np.random.default_rng(1).bytes(100_000))
    for name, content in {"short": data[:-100], "changed": data[:500] + b"x" * 10 + data[510:]}.items():
        (tmp_path / f"{name}.npy.gz").write_bytes(content)
        with pytest.raises(InvalidInput, match=r"is compressed, and cannot be unpacked"):
            open_source(f"{tmp_path}/{name}.npy.gz")
    monkeypatch.setattr("qwf_async.source.formats.decompression.MAX_TEMPORARY_BYTES", 1 << 20)
    np.save(tmp_path / "zeros.npy", np.zeros(2**20, complex))
    (tmp_path / "zeros.npy.gz").write_bytes(gzip.compress((tmp_path / "zeros.npy").read_bytes()))
    with pytest.raises(InvalidInput, match=r"unpacks to more than 0 GiB: unpack it yourself"):
        open_source(f"{tmp_path}/zeros.npy.gz")


def matlab_5(path: Path) -> None:
    scipy.io.savemat(path, {"psi": PSI}, appendmat=False)


def tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("psi.npy"), io.BytesIO())


def tar_gz(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("psi.npy"), io.BytesIO())


def zip_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "none")


def fortran(path: Path) -> None:
    with scipy.io.FortranFile(path, "w") as written:
        written.write_record(PSI)


def objects(path: Path) -> None:
    with path.open("wb") as out:
        np.save(out, np.array({"psi": 1}, dtype=object), allow_pickle=True)


NOT_READ: dict[str, tuple[Callable[[Path], object], str]] = {
    "MATLAB 5": (matlab_5, "is a MATLAB file of before version 7.3.*-v7.3"),
    "tar": (tar, "is a tar archive.*unpack it"),
    "tar.gz": (tar_gz, "is a tar archive.*unpack it"),
    "zip": (zip_of_text, "is a zip file, neither npz nor Zarr, that holds notes.txt"),
    "pickle": (lambda p: p.write_bytes(pickle.dumps({"psi": PSI})), "is a pickle.*never unpickled.*numpy.save"),
    "old pickle": (lambda p: p.write_bytes(pickle.dumps([1.5], 2)), "is a pickle"),
    "objects": (objects, "holds Python objects .type object.*never unpickled.*numpy.save"),
    "Fortran": (fortran, "unformatted file of Fortran, one record .* marks=4"),
    "zstd": (lambda p: p.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(50)), "is compressed by zstd.*unpack it"),
    "HDF4": (lambda p: p.write_bytes(b"\x0e\x03\x13\x01" + bytes(50)), "is an HDF4 file.*h4toh5"),
    "text": (lambda p: p.write_text("x,re,im\n0,1,2\n"), "is text, and no Gaussian cube"),
    "empty": (lambda p: p.write_bytes(b""), "is an empty file"),
    "numbers": (lambda p: p.write_bytes(PSI.tobytes()), "is none of npy, npz.*:shape=64x64x64,dtype=c16"),
    "packed numbers": (lambda p: p.write_bytes(gzip.compress(PSI.tobytes())), "is none of npy, npz"),
    "directory": (lambda p: p.mkdir(), "is a directory, and no Zarr hierarchy"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NOT_READ)
@pytest.mark.parametrize("name", ["psi", "psi.dat"])
def test_what_is_not_read_is_called_what_it_is_and_says_what_to_do(
    tmp_path: Path, kind: str, name: str
) -> None:
    make, message = NOT_READ[kind]
    make(tmp_path / name)
    with pytest.raises(InvalidInput, match=message) as caught:
        open_source(f"{tmp_path}/{name}")
    assert str(caught.value).isprintable()
    assert f"{tmp_path}/{name}" in str(caught.value)


@pytest.mark.parametrize("kind", ["MATLAB 5", "tar", "pickle", "zip", "text"])
def test_what_is_not_read_is_called_so_under_the_suffix_of_a_format_too(tmp_path: Path, kind: str) -> None:
    make, message = NOT_READ[kind]
    for name in ("psi.mat", "psi.npy", "psi.h5"):
        make(tmp_path / name)
        with pytest.raises(InvalidInput, match=message):
            open_source(f"{tmp_path}/{name}")


@pytest.mark.parametrize(
    "name", ["psi", "psi.npy", "psi.npz", "psi.h5", "psi.nc", "psi.zarr", "psi.cube", "psi.raw:shape=3"]
)
def test_what_would_be_waited_for_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.partition(":")[0]
    os.mkfifo(path)
    with pytest.raises(InvalidInput, match=r"is not a regular file but a fifo; .* - is the source"):
        open_source(f"{tmp_path}/{name}")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(path))
        with pytest.raises(InvalidInput, match="is not a regular file but a socket"):
            open_source(f"{tmp_path}/{name}")
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(InvalidInput, match="is not a regular file but a device"):
            open_source(device)
    with pytest.raises(InvalidInput, match="is not a regular file but a device"):
        hdf5("/dev/zero")


@pytest.mark.parametrize("place", ["psi/c/1/0/0/0", "other/zarr.json", "zarr.json"])
def test_a_fifo_in_a_hierarchy_is_refused(tmp_path: Path, place: str) -> None:
    group = zarr.open_group(tmp_path / "run.zarr", mode="w")
    group.create_array("psi", data=PSI, chunks=(1, *PSI.shape[1:]))
    group.create_array("other", data=PSI)
    block = tmp_path / "run.zarr" / place
    block.unlink()
    os.mkfifo(block)
    with pytest.raises(InvalidInput, match=r"is not a regular file but a fifo|is a directory, and no Zarr"):
        open_source(f"{tmp_path}/run.zarr:psi")
    with pytest.raises(InvalidInput, match="is not a regular file but a fifo"):
        read_zarr(tmp_path / "run.zarr", "psi")
    block.unlink()
    block.symlink_to("nowhere")
    with pytest.raises(InvalidInput) as caught:  # and not waited for
        read_zarr(tmp_path / "run.zarr", "psi")
    assert str(caught.value).isprintable()


def test_a_cube_file_whose_header_only_its_reader_knows_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "a.cube").write_text("title\nanother\n  1.0 0 0 0\n(none of a cube)\n")
    with pytest.raises(InvalidInput, match=r"a\.cube .*cube"):
        open_source(f"{tmp_path}/a.cube")
    (tmp_path / "a.cube").rename(tmp_path / "a.txt")
    with pytest.raises(InvalidInput, match="is text, and no Gaussian cube"):
        open_source(f"{tmp_path}/a.txt")


@pytest.mark.parametrize("options", [{}, {"chunks": (2, 3, 2), "compression": 1}])
def test_an_array_of_matlab_has_the_dimensions_that_it_has_in_matlab(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """It counts the first index fastest, and HDF5 the last: h5py sees what MATLAB calls psi(x,y,z) as [z, y, x]."""
    psi = wave(1, 3, 4, 5)[0]
    with h5py.File(tmp_path / "psi.mat", "w", userblock_size=512) as file:
        one = file.create_dataset("psi", data=psi.T, **options)
        one.attrs["MATLAB_class"] = np.bytes_(b"double")
    with (tmp_path / "psi.mat").open("r+b") as block:
        block.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    with closing(open_source(f"{tmp_path}/psi.mat")) as source:
        for chunk in BoxPlan.cut(source.grid.shape, order=source.order, points=17):
            np.testing.assert_array_equal(source.read(chunk.box)[0], psi[chunk.box.slices[1:]])
    np.testing.assert_array_equal(read(f"{tmp_path}/psi.mat", dims="z,y,x")[0], psi.T)
