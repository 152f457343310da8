"""ψ written by the libraries of all formats, in the ways in which files hold complex numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import zarr
from numpy.typing import NDArray
from scipy.io import netcdf_file

from qwf_async.source import Source

Array = NDArray[Any]
Writer = Callable[[Path, Array], str]
"""Writes ψ[t, x, y, z] into a directory and returns the SOURCE that names it."""


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
