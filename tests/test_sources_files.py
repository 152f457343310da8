"""Files, arrays and functions as sources, against numpy reading the same."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.grid import Axis, Box, Grid
from qwf_async.plan import BoxPlan
from qwf_async.source import array, function, npy
from qwf_async.source.file.npy import NpyFile

Array = NDArray[Any]
SHAPES = [(11,), (5, 7), (4, 5, 6), (3, 4, 5, 2)]


def some(shape: tuple[int, ...], dtype: Any = np.complex128) -> Array:
    rng = np.random.default_rng(7)
    values = 100 * rng.standard_normal(shape) + 100j * rng.standard_normal(shape)
    kind = np.dtype(dtype).kind
    return (values if kind == "c" else np.abs(values.real)).astype(dtype)


def as_4d(values: Array) -> Array:
    if values.ndim == 4:
        return values
    return values.reshape(1, *values.shape, *(1,) * (3 - values.ndim))


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[NpyFile]:
    with closing(npy(path, **options)) as source:
        yield source


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("dtype", "yielded"),
    [
        ("<c16", "=c16"),
        (">c16", "=c16"),
        ("<c8", "=c8"),
        (">c8", "=c8"),
        ("<f8", "=c16"),
        (">f8", "=c16"),
        (">f4", "=c8"),
        ("<f4", "=c8"),
        (">i4", "=c16"),
        ("u1", "=c16"),
        ("<i8", "=c16"),
    ],
)
def test_npy_yields_what_numpy_loads(
    tmp_path: Path, shape: tuple[int, ...], order: Any, dtype: str, yielded: str
) -> None:
    path = tmp_path / "psi.npy"
    np.save(path, np.asarray(some(shape, dtype), order=order))
    expected = as_4d(np.load(path))
    with opened(path) as source:
        assert source.grid == Grid(shape=expected.shape)
        assert source.order == (order if len(shape) > 1 else "C")
        got = source.read(source.grid.whole)
        assert got.dtype == np.dtype(yielded)
        assert got.dtype.isnative
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_versions_are_all_read(tmp_path: Path, version: tuple[int, int]) -> None:
    path, values = tmp_path / "psi.npy", some((3, 4))
    with path.open("wb") as file:
        npy_format.write_array(file, values, version=version)
    with opened(path) as source:
        np.testing.assert_array_equal(source.read(source.grid.whole), as_4d(values))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_piece_is_that_piece_of_the_file(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 4))
    values = np.asarray(some(shape), order=data.draw(st.sampled_from("CF")))
    pairs = [sorted((data.draw(st.integers(0, n)), data.draw(st.integers(0, n)))) for n in shape]
    start, stop = zip(
        *[(a, b) if a < b else (0, n) for (a, b), n in zip(pairs, shape, strict=True)], strict=True
    )
    box = Box(start=start, stop=stop)
    path = tmp_path_factory.getbasetemp() / "piece.npy"
    np.save(path, values)
    with opened(path) as source:
        np.testing.assert_array_equal(source.read(box), values[box.slices])
    np.testing.assert_array_equal(array(values).read(box), values[box.slices])


@pytest.mark.parametrize("order", ["C", "F"])
def test_chunks_in_the_order_of_the_file_are_one_read_each(tmp_path: Path, order: Any) -> None:
    path, values = tmp_path / "psi.npy", np.asarray(some((2, 6, 7, 8)), order=order)
    np.save(path, values)
    with opened(path) as source, _Counting(path) as file:
        counted = replace(source, file=file)
        plan = BoxPlan.cut(source.grid.shape, order=source.order, points=100)
        for chunk in plan:
            np.testing.assert_array_equal(counted.read(chunk.box), values[chunk.box.slices])
        assert file.seeks == len(plan) > 4


class _Counting(io.FileIO):
    seeks = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.seeks += 1
        return super().seek(offset, whence)


def test_npy_is_laid_over_the_box_and_time_step_given(tmp_path: Path) -> None:
    path = tmp_path / "psi.npy"
    np.save(path, some((2, 4, 8, 5)))
    with opened(path, box=(4.0, 4.0, 10.0), dt=0.5) as source:
        assert source.grid == Grid.of((4, 8, 5), box=(4, 4, 10), frames=2, dt=0.5)
    with opened(path, box=4) as source:
        assert source.grid.axes[3] == Axis(origin=-2.0, step=0.8, unit="bohr")
        assert source.grid.axes[0].step is None
    with pytest.raises(InvalidInput, match="extent"):
        npy(path, box=-4)
    with pytest.raises(InvalidInput, match="step"):
        npy(path, dt=0)


def test_a_large_file_needs_memory_for_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "psi.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.complex128, shape=(256, 256, 256)).flush()  # sparse
    script = (
        "import sys; from qwf_async.source import npy; from qwf_async.plan import BoxPlan\n"
        "def anonymous(): return int(next(l for l in open('/proc/self/status') if 'RssAnon' in l).split()[1])\n"
        "before = anonymous(); source = npy(sys.argv[1])\n"
        "for chunk in BoxPlan.cut(source.grid.shape): source.read(chunk.box)\n"
        "print(anonymous() - before)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert int(ran.stdout) < 8 * 1024  # KiB; the file has 256 MiB


def header(shape: Any = (4,), descr: Any = "<c16", **more: Any) -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape} | more).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def saved(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=True)
    return file.getvalue()


GOOD = saved(some((4, 5)))
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not a .npy file"),
    "text": (b"1.0 2.0 3.0\n", "is not a .npy file"),
    "zip": (b"PK\x03\x04" + bytes(100), "is not a .npy file"),
    "magic alone": (GOOD[:8], "damaged .npy header"),
    "half a header": (GOOD[:40], "damaged .npy header"),
    "header alone": (GOOD[:128], "is cut short: 128 bytes, where its header says 448"),
    "cut by one byte": (GOOD[:-1], "is cut short"),
    "trailing bytes": (GOOD + b"\0", "goes on after its array"),
    "two arrays": (GOOD + GOOD, "goes on after its array"),
    "version 9": (b"\x93NUMPY\x09\x00" + GOOD[8:], "version"),
    "objects": (saved(np.array([1, None])), "type object"),
    "strings": (saved(np.array(["a", "b"])), "type <U1"),
    "bytes": (saved(np.array([b"a"])), "type \\|S1"),
    "structured": (saved(np.zeros(3, dtype=[("r", "f8"), ("i", "f8")])), "holds values of type"),
    "void": (saved(np.zeros(3, dtype="V16")), "holds values of type"),
    "booleans": (saved(np.ones(3, dtype=bool)), "type bool"),
    "half precision": (saved(np.ones(3, dtype=np.float16)), "type float16"),
    "dates": (saved(np.zeros(3, dtype="M8[s]")), "type datetime64"),
    "no dimensions": (saved(np.complex128(1)), "has 0 dimensions"),
    "five dimensions": (saved(np.zeros((1, 1, 1, 1, 2))), "has 5 dimensions"),
    "no values": (saved(np.zeros((3, 0))), "is empty"),
    "negative shape": (header((-4,)), "is empty"),
    "huge shape": (header((10**400, 3)), "is cut short"),
    "shape that is larger than the file": (header((2**40,)), "is cut short"),
    "shape that is no shape": (header("abc"), "damaged .npy header"),
    "unknown type": (header(descr="<q99"), "damaged .npy header"),
    "further keys": (header(extra=1), "damaged .npy header"),
    "header of code": (b"\x93NUMPY\x01\x00\x10\x00__import__('os')\n", "damaged .npy header"),
    "header of brackets": (b"\x93NUMPY\x01\x00\x20\x00" + b"[" * 31 + b"\n", "damaged .npy header"),
    "long header": (b"\x93NUMPY\x02\x00\x00\x00\x02\x00" + b" " * 2**17, "damaged .npy header"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "psi.npy"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message) as caught:
        npy(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 127), byte=st.integers(0, 255))
def test_a_damaged_header_is_refused_or_read_as_it_says(
    at: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.npy"
    path.write_bytes(GOOD[:at] + bytes([byte]) + GOOD[at + 1 :])
    try:
        source = npy(path)
    except InvalidInput:
        return
    with closing(source):
        np.testing.assert_array_equal(source.read(source.grid.whole), as_4d(np.load(path)))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe.npy"
    os.mkfifo(fifo)
    for path, message in [
        (tmp_path, "is not a regular file"),
        (fifo, "is not a regular file"),
        (tmp_path / "none.npy", "cannot be opened: No such file"),
        (tmp_path / ("x" * 300 + ".npy"), "cannot be opened: File name too long"),
        (Path("a\0b.npy"), "embedded null"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            npy(path)


def test_a_file_cut_short_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "psi.npy"
    np.save(path, some((64, 64)))
    with opened(path) as source:
        os.truncate(path, 5000)
        with pytest.raises(InvalidInput, match="was cut short while it was read"):
            source.read(source.grid.whole)
        with pytest.raises(InvalidInput, match="was changed while it was read"):
            source.read(Box(start=(0, 0, 0, 0), stop=(1, 2, 64, 1)))


def test_a_file_written_to_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "psi.npy"
    np.save(path, some((8, 8)))
    with opened(path) as source:
        source.read(source.grid.whole)
        os.utime(path, ns=(1, 1))
        with pytest.raises(InvalidInput, match="was changed while it was read"):
            source.read(source.grid.whole)


def test_fingerprint_of_a_file_changes_when_it_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "psi.npy"
    np.save(path, some((8, 8)))
    with opened(path) as source, opened(path) as again, opened(path, box=3.0) as elsewhere:
        first = source.fingerprint()
        assert first == again.fingerprint() != elsewhere.fingerprint()
        monkeypatch.chdir(tmp_path)
        with opened(Path("psi.npy")) as relative:
            assert relative.fingerprint() == first
        os.utime(path)
        assert source.fingerprint() != first
        path.unlink()
        with pytest.raises(InvalidInput, match="is gone"):
            source.fingerprint()


def test_fingerprint_tells_files_of_one_size_and_time_apart(tmp_path: Path) -> None:
    prints = set()
    for name, values in {"a": some((4, 8)), "b": some((8, 4)), "c": some((4, 8))}.items():
        path = tmp_path / f"{name}.npy"
        np.save(path, values)
        os.utime(path, ns=(0, 0))
        with opened(path) as source:
            prints.add(source.fingerprint())
    assert len(prints) == 3


def test_close_may_be_called_twice(tmp_path: Path) -> None:
    np.save(tmp_path / "psi.npy", some((4,)))
    with opened(tmp_path / "psi.npy") as source:
        source.close()


def test_array_is_viewed_and_not_copied() -> None:
    for shape in SHAPES:
        for order in ("C", "F"):
            values = np.asarray(some(shape), order=order)
            source = array(values)
            assert source.order == (order if len(shape) > 1 else "C")
            got = source.read(source.grid.whole)
            assert np.shares_memory(got, values)
            np.testing.assert_array_equal(got, as_4d(values))


def test_array_of_any_type_is_read_as_a_native_complex_one() -> None:
    for dtype, yielded in [(">c16", "c16"), (">c8", "c8"), ("f4", "c8"), (">f8", "c16"), ("i2", "c16")]:
        values = some((4, 5, 6), dtype)
        got = array(values).read(Box(start=(0, 1, 0, 2), stop=(1, 3, 5, 6)))
        assert got.dtype == np.dtype(yielded)
        assert got.dtype.isnative
        np.testing.assert_array_equal(got, values[None, 1:3, :, 2:])


def test_array_may_bring_its_grid() -> None:
    grid = Grid.of((4, 5), box=(1, 1))
    assert array(some((4, 5)), grid).grid == grid
    with pytest.raises(InvalidInput, match=r"shape \(1, 4, 6, 1\) as t, x, y, z, but its grid has"):
        array(some((4, 6)), grid)


@pytest.mark.parametrize(
    "values", [np.array([None]), np.array(["a"]), np.ones(2, dtype=bool), np.zeros((0, 3))]
)
def test_array_that_is_no_wavefunction_is_refused(values: Array) -> None:
    with pytest.raises(InvalidInput, match="the array"):
        array(values)


def test_fingerprint_of_an_array_is_that_of_its_values() -> None:
    values = some((40, 50, 60))
    first = array(values).fingerprint()
    assert array(values.copy()).fingerprint() == first
    assert array(values.copy()[:, ::-1][:, ::-1]).fingerprint() == first
    changed = values.copy()
    changed[39, 49, 59] += 1e-12
    others = [changed, values.astype(np.complex64), values.reshape(50, 40, 60)]
    assert len({first, *(array(other).fingerprint() for other in others)}) == 4


POINTS = Grid.of((6, 5, 4), box=(6, 5, 4), frames=3, dt=0.5)


def wave(t: Array, x: Array, y: Array, z: Array) -> Array:
    return np.asarray(np.exp(1j * (x + 2 * y - t)) * (1 + z))


def test_function_is_evaluated_where_the_points_lie() -> None:
    source = function(wave, grid=POINTS)
    axes = [POINTS.coordinates(a, 0, n) for a, n in enumerate(POINTS.shape)]
    expected = wave(*np.meshgrid(*axes, indexing="ij"))
    np.testing.assert_array_equal(source.read(POINTS.whole), expected)
    piece = Box(start=(1, 2, 0, 3), stop=(3, 5, 1, 4))
    np.testing.assert_array_equal(source.read(piece), expected[piece.slices])


def test_function_may_return_fewer_axes_and_real_values() -> None:
    got = function(lambda t, x, y, z: np.float32(2) * x.astype(np.float32), grid=POINTS).read(POINTS.whole)
    assert got.shape == POINTS.shape
    assert got.dtype == np.complex64
    assert function(lambda *_: 1, grid=POINTS).read(POINTS.whole).dtype == np.complex128


@pytest.mark.parametrize(
    ("psi", "message"),
    [
        (lambda t, x, y, z: 1 / 0, "failed: ZeroDivisionError"),
        (lambda t: t, "failed: TypeError"),
        (lambda t, x, y, z: np.ones(7), r"returned the shape \(7,\)"),
        (lambda t, x, y, z: "abc", "holds values of type"),
        (lambda t, x, y, z: None, "type object"),
    ],
)
def test_function_that_fails_is_bad_input(psi: Callable[..., Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        function(psi, grid=POINTS).read(POINTS.whole)


def test_function_needs_to_know_where_its_points_lie() -> None:
    with pytest.raises(InvalidInput, match="spacing of axis x is not known"):
        function(wave, grid=Grid.cube(4))


def test_fingerprint_of_a_function_is_that_of_its_values() -> None:
    def scaled(factor: float) -> Callable[..., Any]:
        return lambda t, x, y, z: factor * wave(t, x, y, z)

    assert function(scaled(2), grid=POINTS).fingerprint() == function(scaled(2), grid=POINTS).fingerprint()
    assert function(scaled(2), grid=POINTS).fingerprint() != function(scaled(3), grid=POINTS).fingerprint()
