"""What every format of files promises, as tests that a format passes by inheriting them.

A subclass names a format of the table and writes ψ by the format's own library, or by hand, byte
for byte; the twin that values are compared with is the NumPy array that was written. A format
whose files state axes has `StatesAxes` as a base too, one whose files state which numbers are
missing `StatesMissing`, and one that can be written here `CanBeWritten`. All of it is a Source
too, so that the contract of sources is inherited with it.
"""

from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis, Grid, Shape4
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import files
from qwf_async.source.base import Source, check_unchanged, understood_of
from qwf_async.source.formats.detection import detect
from qwf_async.source.formats.locator import locate
from qwf_async.source.formats.table import FORMATS
from qwf_async.source.formats.writing import ExportHeader
from tests.source.contract import SHAPE, CanBeGone, CanFail, Difference, Make, sample

COMPLEX: Final = ("<c16", ">c16", "<c8", ">c8")
REAL: Final = ("<f8", ">f8", "<f4", ">f4")
INTEGERS: Final = ("<i8", ">i4", "<i2", "i1", "<u4", ">u2", "u1")

Array = NDArray[Any]


class FormatContract(CanFail, CanBeGone):
    """The promises of one format, or of one way to write it."""

    name: ClassVar[str]
    """In the table of formats."""

    dtypes: ClassVar[Sequence[str]] = (*COMPLEX, *REAL, *INTEGERS)
    """The types, with their byte order, that such a file can hold."""

    single: ClassVar[Sequence[str]] = ("c8", "f4")
    """Types whose numbers are read as complex64, all others are as complex128."""

    shape: ClassVar[Shape4] = SHAPE
    """[t, x, y, z] of what is written; smaller for a format that holds one time."""

    states_axes: ClassVar[bool] = False

    large: ClassVar[Shape4] = (1, 128, 128, 128)
    """Of a wavefunction that is read in pieces, 32 MiB as complex128."""

    max_memory: ClassVar[int] = 12 << 20
    """Bytes that reading the large one may take at a time: two boxes, and the blocks that are kept."""

    last_bytes: ClassVar[int] = 1
    """At the end of the file, of which one number or more is lost if they are missing."""

    flips: ClassVar[int] = 60
    """Bytes anywhere in the file that are damaged, one at a time, besides the first eight."""

    def write(self, directory: Path, psi: Array, grid: Grid) -> str:
        """Write ψ[t, x, y, z] into a directory, and return SOURCE for it.

        `psi` has one of `dtypes`. The axes of `grid`, of the same shape, are stated if
        `states_axes`, with their units as they are called there.
        """
        raise NotImplementedError

    def open(self, text: str, **options: Any) -> Source:
        return files(text, **options)

    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        texts: dict[str, str] = {}

        def make(difference: Difference) -> Source:
            psi, grid = sample("none" if difference == "unreadable" else difference, self.shape)
            if difference not in texts:
                directory = tmp_path / difference
                directory.mkdir()
                texts[difference] = self.write(directory, psi, grid)
                if difference == "unreadable":
                    shortened(largest(directory), 0.5)
            return self.open(texts[difference], **({} if self.states_axes else laid_over(grid)))

        return make

    @pytest.fixture
    def remove(self, tmp_path: Path) -> Callable[[], object]:
        return lambda: shutil.rmtree(tmp_path / "none")

    def test_every_type_is_read_as_numpy_has_it(self, tmp_path: Path) -> None:
        psi, grid = sample(shape=self.shape)
        for dtype in map(np.dtype, self.dtypes):
            stored = as_type(psi, dtype)
            directory = tmp_path / dtype.str.strip("<>|=") / ("big" if dtype.str[0] == ">" else "little")
            directory.mkdir(parents=True)
            with closing(self.open(self.write(directory, stored, grid))) as source:
                values = source.read(source.grid.whole)
            single = dtype.str[1:] in self.single
            assert values.dtype == (np.complex64 if single else np.complex128), dtype
            np.testing.assert_array_equal(values, stored.astype(values.dtype), err_msg=str(dtype))

    def test_content_tells_the_format_whatever_the_name(self, tmp_path: Path) -> None:
        text = self.write(tmp_path, *sample(shape=self.shape))
        path = first_path(text)
        known = FORMATS[self.name]
        assert known.name == self.name
        assert any(path.endswith(ending) for ending in known.endings)
        shutil.move(path, tmp_path / "data")
        told = detect(f"{tmp_path}/data").format
        assert told == (None if known.recognises is None else self.content_name)
        assert locate(path) is not None, "of a file that is gone the ending tells that it was one"
        with pytest.raises(InvalidInput) as caught:
            self.open(text)
        assert str(caught.value).isprintable()

    @property
    def content_name(self) -> str:
        """The format that the content tells: a NetCDF-4 file is an HDF5 file."""
        return self.name

    def test_what_was_understood_names_the_array_and_its_dimensions(self, tmp_path: Path) -> None:
        text = self.write(tmp_path, *sample(shape=self.shape))
        with closing(self.open(text)) as source:
            understood = understood_of(source)
        assert first_path(text) in understood["read from"]
        sizes = zip("txyz", self.shape, strict=True)
        assert all(f"({size})" in understood["dimensions"] for letter, size in sizes if size > 1)

    def test_truncated_is_one_line_that_names_the_file(self, tmp_path: Path) -> None:
        for number, left in enumerate((0.05, 0.5, -self.last_bytes)):
            directory = tmp_path / str(number)
            directory.mkdir()
            text = self.write(directory, *sample(shape=self.shape))
            shortened(largest(directory), left)
            with pytest.raises(InvalidInput) as caught, closing(self.open(text)) as source:
                source.read(source.grid.whole)
            assert str(caught.value).isprintable()
            assert first_path(text) in str(caught.value)

    def test_damage_is_one_line_or_other_values(self, tmp_path: Path) -> None:
        text = self.write(tmp_path, *sample(shape=self.shape))
        path = largest(tmp_path)
        whole = path.read_bytes()
        rng = np.random.default_rng(5)
        for position in (*range(8), *rng.integers(8, len(whole), self.flips).tolist()):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
            try:
                with closing(self.open(text)) as source:
                    assert source.read(source.grid.whole).shape == source.grid.shape
            except InvalidInput as error:
                assert str(error).isprintable(), position  # noqa: PT017 # either of both is right

    def test_a_change_is_another_fingerprint_and_is_noticed_while_it_is_read(self, tmp_path: Path) -> None:
        psi, grid = sample(shape=self.shape)
        text = self.write(tmp_path, psi, grid)
        with closing(self.open(text)) as source:
            before = source.fingerprint()
            source.read(source.grid.whole)
            path = largest(tmp_path)
            old = path.stat()
            path.write_bytes(path.read_bytes())
            os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns + 1))
            assert source.fingerprint() != before
            with pytest.raises(InvalidInput, match="was changed while it was read: start again"):
                check_unchanged(source)
            with pytest.raises(InvalidInput, match="was changed while it was read: start again"):
                source.read(source.grid.whole)

    def test_how_it_is_read_is_in_the_fingerprint(self, tmp_path: Path) -> None:
        text = self.write(tmp_path, *sample(shape=self.shape))
        prints = []
        for options in ({}, {}, {"box": 7.0}):
            with closing(self.open(text, **options)) as source:
                prints.append(source.fingerprint())
        assert prints[0] == prints[1] != prints[2]

    def test_memory_is_that_of_a_piece(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(3)
        psi = np.empty(self.large, np.complex128)
        psi.real, psi.imag = rng.standard_normal(self.large), rng.standard_normal(self.large)
        text = self.write(tmp_path, psi, Grid(shape=self.large))
        with closing(self.open(text)) as source:
            plan = list(BoxPlan.cut(source.grid.shape, order=source.order, points=1 << 16))
            np.testing.assert_array_equal(source.read(plan[0].box), psi[plan[0].box.slices])
            tracemalloc.start()
            try:
                for chunk in plan[1:]:
                    assert source.read(chunk.box).shape == chunk.box.shape
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            np.testing.assert_array_equal(source.read(plan[-1].box), psi[plan[-1].box.slices])
        assert peak <= self.max_memory


class StatesAxes(FormatContract):
    """Of a format whose files state where their points are."""

    states_axes: ClassVar[bool] = True

    units: ClassVar[Sequence[str]] = ("fs", "angstrom", "nm", "pm")
    """Units in which files state t, x, y, z."""

    def test_axes_are_read_in_atomic_units(self, tmp_path: Path) -> None:
        psi, grid = sample(shape=self.shape)
        axes = [
            Axis(origin=0.5 + number, step=0.25 * (1 + number), unit=unit)
            for number, unit in enumerate(self.units)
        ]
        stated = replace(grid, axes=(axes[0], axes[1], axes[2], axes[3]))
        with closing(self.open(self.write(tmp_path, psi, stated))) as source:
            read = source.grid
        expected = stated.in_atomic_units()
        for letter, size, mine, other in zip("txyz", self.shape, read.axes, expected.axes, strict=True):
            if size > 1:
                assert mine.unit == other.unit, letter
                assert mine.step == pytest.approx(other.step, rel=1e-12), letter
                assert mine.origin == pytest.approx(other.origin, rel=1e-12), letter

    def test_what_is_given_goes_before_what_the_file_states(self, tmp_path: Path) -> None:
        psi, grid = sample(shape=self.shape)
        text = self.write(tmp_path, psi, grid)
        with closing(self.open(text, box=8.0, dt=2.0)) as source:
            steps = [axis.step for axis in source.grid.axes]
        assert steps[1:] == pytest.approx([8.0 / size for size in self.shape[1:]])
        assert steps[0] == 2.0


class StatesMissing(FormatContract):
    """Of a format whose files state which numbers are missing, and how numbers are packed."""

    def write_packed(self, directory: Path, stored: Array, attributes: dict[str, Any]) -> str:
        """Write integers or real numbers [t, x, y, z] with attributes by the CF conventions, and return SOURCE."""
        raise NotImplementedError

    def test_missing_numbers_are_nan(self, tmp_path: Path) -> None:
        psi, _ = sample(shape=self.shape)
        stored = psi.real.copy()
        stored[0, 1, 2, 3] = stored[-1, -1, -1, -1] = -999.25
        with closing(self.open(self.write_packed(tmp_path, stored, {"_FillValue": -999.25}))) as source:
            values = source.read(source.grid.whole)
        np.testing.assert_array_equal(values.real, np.where(stored == -999.25, np.nan, stored))

    def test_packed_numbers_are_unpacked(self, tmp_path: Path) -> None:
        psi, _ = sample(shape=self.shape)
        stored = (psi.real * 1000).astype(np.int16)
        stored[0, 0, 0, 0] = -32768
        packing = {"scale_factor": 0.5, "add_offset": 3.0, "_FillValue": np.int16(-32768)}
        with closing(self.open(self.write_packed(tmp_path, stored, packing))) as source:
            values = source.read(source.grid.whole)
        np.testing.assert_array_equal(values.real, np.where(stored == -32768, np.nan, stored * 0.5 + 3.0))


class CanBeWritten(FormatContract):
    """Of a format with a writer: what that wrote is read back to the last bit, and by the format's own library."""

    def source_of(self, paths: Sequence[Path], psi: Array) -> str:
        """SOURCE for what was written: more than the paths where a file does not say what is in it."""
        return ",".join(map(str, paths))

    def read_by_library(self, paths: Sequence[Path], psi: Array) -> Array:
        """ψ[t, x, y, z] in what was written, read without any of this package."""
        raise NotImplementedError

    @pytest.mark.parametrize("dtype", ["c16", "c8"])
    def test_what_is_written_is_read_back(self, tmp_path: Path, dtype: str) -> None:
        psi, grid = sample(shape=self.shape)
        psi = self.rounded(psi.astype(dtype))
        paths = self.written(tmp_path, psi, grid)
        np.testing.assert_array_equal(self.read_by_library(paths, psi), psi)
        with closing(self.open(self.source_of(paths, psi))) as source:
            np.testing.assert_array_equal(source.read(source.grid.whole), psi)
            if self.states_axes:
                assert [
                    axis for axis, size in zip(source.grid.axes, self.shape, strict=True) if size > 1
                ] == [axis for axis, size in zip(grid.axes, self.shape, strict=True) if size > 1]

    def rounded(self, psi: Array) -> Array:
        """The values that the format can hold."""
        return psi

    def written(self, directory: Path, psi: Array, grid: Grid) -> list[Path]:
        """The files of ψ, written box by box as `export` writes it."""
        writer = FORMATS[self.name].writer
        assert writer is not None
        writer.check(grid)
        names = ("re", "im")[: writer.max_files] if writer.max_files > 1 else ("psi",)
        paths = [directory / f"{name}{writer.endings[0]}" for name in names]
        header = ExportHeader(grid=grid, dtype=psi.dtype, title="a test")
        unit = writer.unit(grid.shape)
        with writer.open(paths, header) as write:
            for chunk in BoxPlan.cut(grid.shape, points=30, unit=unit):
                write(chunk.box, psi[chunk.box.slices])
        return paths


def as_type(psi: Array, dtype: np.dtype[Any]) -> Array:
    """Numbers of any type that differ from each other: integers within ±127, unsigned ones from 0 on."""
    if dtype.kind == "c":
        return psi.astype(dtype)
    if dtype.kind == "f":
        return psi.real.astype(dtype)
    whole: Array = np.clip(psi.real * 20, -127, 127).astype(int)
    numbers: Array = (whole if dtype.kind == "i" else np.abs(whole)).astype(dtype)
    return numbers


def laid_over(grid: Grid) -> dict[str, Any]:
    """The options that give the steps of a grid to a file which states none."""
    steps = [axis.step or 0.0 for axis in grid.axes]
    extents = tuple(step * size for step, size in zip(steps[1:], grid.shape[1:], strict=True))
    return {"box": extents, "dt": steps[0]}


def first_path(text: str) -> str:
    """The path of the first file in a SOURCE."""
    location = locate(text.partition(",")[0] if not os.path.lexists(text) else text)
    assert location is not None
    return location.path


def largest(directory: Path) -> Path:
    """The largest file in a directory: the one with the values."""
    return max(
        (path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )


def shortened(path: Path, left: float) -> None:
    """Leave a part of a file, or all but so many bytes of it."""
    size = path.stat().st_size
    os.truncate(path, int(size * left) if left > 0 else size + int(left))
