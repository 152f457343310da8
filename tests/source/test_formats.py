"""Each format of files keeps the promises of all: written by its own library, or by hand, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import h5py
import netCDF4
import numpy as np
import zarr
from numpy.lib import format as npy_format
from scipy.io import netcdf_file

from qwf_async.lattice.grid import Grid, Shape4
from tests.source.format_contract import (
    COMPLEX,
    INTEGERS,
    REAL,
    Array,
    CanBeWritten,
    FormatContract,
    StatesAxes,
    StatesMissing,
)

LETTERS = "txyz"

SINGLE = ("c8", "f4", "i2", "u2")
"""NetCDF has a default fill value for integers of two bytes: missing ones make them float32, as xarray has it."""


class TestNpy(CanBeWritten):
    name = "npy"

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        np.save(directory / "psi.npy", psi)
        return f"{directory}/psi.npy"

    def read_by_library(self, paths: Sequence[Path], psi: Array) -> Array:
        values: Array = np.load(paths[0])
        return values


class TestNpyInFortranOrderOfVersion3(FormatContract):
    name = "npy"

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        with open(directory / "psi.npy", "wb") as file:
            npy_format.write_array(file, np.asfortranarray(psi), version=(3, 0))
        return f"{directory}/psi.npy"


class TestNpz(FormatContract):
    name = "npz"

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        np.savez(directory / "psi.npz", psi=psi)
        return f"{directory}/psi.npz"


class TestNpzCompressed(FormatContract):
    name = "npz"

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        np.savez_compressed(directory / "psi.npz", psi=psi, potential=psi.real)
        return f"{directory}/psi.npz:psi"


class TestRaw(CanBeWritten):
    name = "raw"

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        (directory / "psi.raw").write_bytes(psi.tobytes())
        return f"{directory}/psi.raw:{described(psi)}"

    def source_of(self, paths: Sequence[Path], psi: Array) -> str:
        return f"{paths[0]}:{described(psi)}"

    def read_by_library(self, paths: Sequence[Path], psi: Array) -> Array:
        return np.fromfile(paths[0], psi.dtype.newbyteorder("<")).reshape(psi.shape)


class TestRawWithRecordsOfFortran(FormatContract):
    name = "raw"

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        records = [plane.tobytes() for frame in psi for plane in frame]
        marked = (struct.pack("<i", len(one)) + one + struct.pack("<i", len(one)) for one in records)
        (directory / "psi.raw").write_bytes(b"".join(marked))
        return f"{directory}/psi.raw:{described(psi)},marks=4"


class TestHdf5(StatesAxes, StatesMissing, CanBeWritten):
    name = "hdf5"
    flips: ClassVar[int] = 0  # HDF5 2.0 ends in a segmentation fault for some
    storage: ClassVar[dict[str, Any]] = {}

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        with h5py.File(directory / "psi.h5", "w") as file:
            data = file.create_dataset("run/psi", data=psi, **self.storage)
            for number, (letter, axis) in enumerate(zip(LETTERS, grid.axes, strict=True)):
                data.dims[number].label = letter
                if axis.step is not None:
                    scale = file.create_dataset(f"run/{letter}", data=points_of(grid, number))
                    scale.attrs["units"] = axis.unit
                    scale.make_scale(letter)
                    data.dims[number].attach_scale(scale)
        return f"{directory}/psi.h5:/run/psi"

    def write_packed(self, directory: Path, stored: Array, attributes: dict[str, Any]) -> str:
        with h5py.File(directory / "psi.h5", "w") as file:
            file.create_dataset("psi", data=stored, **self.storage).attrs.update(attributes)
        return f"{directory}/psi.h5"

    def read_by_library(self, paths: Sequence[Path], psi: Array) -> Array:
        with h5py.File(paths[0]) as file:
            values: Array = file["psi"][...]
        return values


class TestHdf5InPackedBlocks(TestHdf5):
    storage: ClassVar[dict[str, Any]] = {"chunks": (1, 2, 3, 4), "compression": "gzip", "shuffle": True}
    large: ClassVar[Shape4] = (1, 32, 64, 64)


class TestNetcdf3(StatesAxes, StatesMissing):
    name = "netcdf"
    dtypes: ClassVar[Sequence[str]] = ("<c16", "<c8", ">f8", ">f4", ">i4", ">i2", "i1")
    single: ClassVar[Sequence[str]] = SINGLE

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        with netcdf_file(directory / "psi.nc", "w", version=2) as file:
            add_axes(file, psi, grid)
            for name, values in parts_of(psi):
                file.createVariable(name, values.dtype.newbyteorder("="), tuple(LETTERS))[:] = values
        return f"{directory}/psi.nc"

    def write_packed(self, directory: Path, stored: Array, attributes: dict[str, Any]) -> str:
        with netcdf_file(directory / "psi.nc", "w") as file:
            for letter, size in zip(LETTERS, stored.shape, strict=True):
                file.createDimension(letter, size)
            variable = file.createVariable("psi", stored.dtype, tuple(LETTERS))
            variable[:] = stored
            for name, value in attributes.items():
                setattr(variable, name, value)
        return f"{directory}/psi.nc"


class TestNetcdf4(StatesAxes, StatesMissing, CanBeWritten):
    name = "netcdf"
    flips: ClassVar[int] = 0  # as for HDF5
    dtypes: ClassVar[Sequence[str]] = ("<c16", "<c8", "<f8", ">f8", "<f4", *INTEGERS)
    single: ClassVar[Sequence[str]] = SINGLE

    @property
    def content_name(self) -> str:
        return "hdf5"

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        with netCDF4.Dataset(directory / "psi.nc", "w") as file:
            add_axes(file, psi, grid)
            for name, values in parts_of(psi):
                order: Any = "big" if values.dtype.str[0] == ">" else "little"
                file.createVariable(name, values.dtype, tuple(LETTERS), endian=order)[:] = values
        return f"{directory}/psi.nc"

    def write_packed(self, directory: Path, stored: Array, attributes: dict[str, Any]) -> str:
        fill = attributes["_FillValue"]
        with netCDF4.Dataset(directory / "psi.nc", "w") as file:
            for letter, size in zip(LETTERS, stored.shape, strict=True):
                file.createDimension(letter, size)
            variable = file.createVariable("psi", stored.dtype, tuple(LETTERS), fill_value=fill)
            variable.set_auto_maskandscale(False)
            variable[:] = stored
            variable.setncatts({name: value for name, value in attributes.items() if name != "_FillValue"})
        return f"{directory}/psi.nc"

    def read_by_library(self, paths: Sequence[Path], psi: Array) -> Array:
        with netCDF4.Dataset(paths[0]) as file:
            parts = (np.asarray(file[f"psi_{part}"][...]) for part in ("re", "im"))
            re, im = parts
        return (re + 1j * im).astype(psi.dtype)


class TestZarr3(StatesAxes, StatesMissing, CanBeWritten):
    name = "zarr"
    dtypes: ClassVar[Sequence[str]] = ("<c16", "<c8", "<f8", "<f4", "<i8", "<i2", "i1", "<u4", "u1")
    version: ClassVar[Any] = 3
    packed: ClassVar[Any] = None

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        group = zarr.open_group(directory / "psi.zarr", mode="w", zarr_format=self.version)
        self.add(group, "psi", psi, tuple(LETTERS), {})
        for number, (letter, axis) in enumerate(zip(LETTERS, grid.axes, strict=True)):
            if axis.step is not None:
                self.add(group, letter, points_of(grid, number), (letter,), {"units": axis.unit})
        return f"{directory}/psi.zarr"

    def write_packed(self, directory: Path, stored: Array, attributes: dict[str, Any]) -> str:
        group = zarr.open_group(directory / "psi.zarr", mode="w", zarr_format=self.version)
        plain = {name: np.asarray(value).item() for name, value in attributes.items()}
        self.add(group, "psi", stored, tuple(LETTERS), plain)
        return f"{directory}/psi.zarr"

    def add(
        self, group: Any, name: str, values: Array, dimensions: tuple[str, ...], attributes: dict[str, Any]
    ) -> None:
        group.create_array(
            name,
            data=values,
            chunks=tuple(min(64, size) for size in values.shape),
            compressors=self.packed,
            dimension_names=dimensions,
            attributes=attributes,
        )

    def read_by_library(self, paths: Sequence[Path], psi: Array) -> Array:
        return np.asarray(zarr.open_array(paths[0], path="psi", mode="r")[...])


class TestZarr3InPackedBlocks(TestZarr3):
    packed: ClassVar[Any] = "auto"
    large: ClassVar[Shape4] = (1, 64, 64, 64)


class TestZarr2(TestZarr3):
    dtypes: ClassVar[Sequence[str]] = (*COMPLEX, *REAL, *INTEGERS)
    version: ClassVar[Any] = 2

    def add(
        self, group: Any, name: str, values: Array, dimensions: tuple[str, ...], attributes: dict[str, Any]
    ) -> None:
        group.create_array(
            name,
            data=values,
            chunks=tuple(min(64, size) for size in values.shape),
            compressors=None,
            fill_value=attributes.get("_FillValue"),
            attributes={**attributes, "_ARRAY_DIMENSIONS": list(dimensions)},
        )


class TestCube(StatesAxes, CanBeWritten):
    """By hand, as Gaussian writes it; complex numbers are two files. A file holds one time, and no time."""

    name = "cube"
    shape: ClassVar[Shape4] = (1, 4, 5, 6)
    large: ClassVar[Shape4] = (1, 32, 32, 32)
    dtypes: ClassVar[Sequence[str]] = ("<c16", "<f8")
    last_bytes: ClassVar[int] = 30  # two numbers, and the end of a line
    units: ClassVar[Sequence[str]] = ("", "bohr", "bohr", "bohr")

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        paths = []
        for name, values in parts_of(psi, ("re", "im")):
            path = directory / f"{name}.cube"
            path.write_text(cube_of(values[0], grid))
            paths.append(str(path))
        return ",".join(paths)

    def rounded(self, psi: Array) -> Array:
        digits = np.vectorize(lambda number: float(f"{number:.5E}"))
        values: Array = (digits(psi.real) + 1j * digits(psi.imag)).astype(np.complex128)
        return values

    def read_by_library(self, paths: Sequence[Path], psi: Array) -> Array:
        """By hand: all numbers behind the six lines of a header without atoms."""
        re, im = (np.array(" ".join(path.read_text().splitlines()[6:]).split(), float) for path in paths)
        values: Array = (re + 1j * im).reshape(psi.shape)
        return values


def described(psi: Array) -> str:
    """What is stated of raw numbers: shape and type."""
    order = ">" if psi.dtype.str[0] == ">" else ""
    return f"shape={'x'.join(map(str, psi.shape))},dtype={order}{psi.dtype.str[1:]}"


def points_of(grid: Grid, number: int) -> Array:
    """Where the points along an axis are, in its own unit."""
    axis = grid.axes[number]
    assert axis.step is not None
    return axis.origin + axis.step * np.arange(grid.shape[number])


def add_axes(file: Any, psi: Array, grid: Grid) -> None:
    """The dimensions of ψ in a NetCDF file of either library, with a coordinate for each axis that is known."""
    for number, (letter, size) in enumerate(zip(LETTERS, psi.shape, strict=True)):
        file.createDimension(letter, size)
        if grid.axes[number].step is not None:
            axis = file.createVariable(letter, "f8", (letter,))
            axis[:] = points_of(grid, number)
            axis.units = grid.axes[number].unit


def parts_of(psi: Array, names: tuple[str, str] = ("psi_re", "psi_im")) -> list[tuple[str, Array]]:
    """ψ as real arrays by their names: complex numbers as two."""
    if psi.dtype.kind != "c":
        return [("psi", psi)]
    return list(zip(names, (psi.real, psi.imag), strict=True))


def cube_of(values: Array, grid: Grid) -> str:
    """A cube file of [x, y, z], with one atom."""
    steps = [1.0 if axis.step is None else axis.step for axis in grid.axes[1:]]
    lines = ["by hand", "a test", " ".join(["1", *(repr(axis.origin) for axis in grid.axes[1:])])]
    for number, (size, step) in enumerate(zip(values.shape, steps, strict=True)):
        lines.append(" ".join([str(size), *(repr(step if number == other else 0.0) for other in range(3))]))
    lines.append("1 1.0 0.0 0.0 0.0")
    rows = values.reshape(-1, values.shape[2]).astype(float).tolist()
    lines += [" ".join(map(repr, row)) for row in rows]
    return "\n".join(lines) + "\n"
