"""Files of `.npy` as sources, compared with NumPy reading the same file."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.lattice.grid import Axis, Box, Grid
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import Source, array, npy
from qwf_async.source.formats.variable_source import VariableSource

Array = NDArray[Any]
SHAPES = [(11,), (5, 7), (4, 5, 6), (3, 4, 5, 7)]


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
def opened(path: Path, **options: Any) -> Iterator[VariableSource]:
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
@pytest.mark.parametrize("shape", [(2, 6, 7, 8), (1, 6, 7, 8), (6, 7, 8, 1)])
def test_chunks_in_the_order_of_the_file_are_one_read_each(
    tmp_path: Path, order: Any, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, values = tmp_path / "psi.npy", np.asarray(some(shape), order=order)
    np.save(path, values)
    with _Counting(path) as file:
        monkeypatch.setattr(import_module("qwf_async.source.formats.npy"), "open_regular", lambda _: file)
        source = npy(path)
        plan, file.seeks = BoxPlan.cut(source.grid.shape, order=source.order, points=100), 0
        for chunk in plan:
            np.testing.assert_array_equal(source.read(chunk.box), values[chunk.box.slices])
        assert file.seeks == len(plan) >= 4
        assert source.order == order


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
        "import sys; from qwf_async.source import npy; from qwf_async.lattice.plan import BoxPlan\n"
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
        cwd=Path(__file__).parents[2],
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
    "half the magic": (GOOD[:5], "is not a .npy file"),
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
    "other records": (saved(np.zeros(3, dtype=[("a", "f8"), ("b", "f8")])), "holds records of a, b"),
    "records of integers": (saved(np.zeros(3, dtype=[("r", "i8"), ("i", "i8")])), "holds records of r, i"),
    "void": (saved(np.zeros(3, dtype="V16")), "holds values of type"),
    "booleans": (saved(np.ones(3, dtype=bool)), "type bool"),
    "half precision": (saved(np.ones(3, dtype=np.float16)), "type float16"),
    "dates": (saved(np.zeros(3, dtype="M8[s]")), "type datetime64"),
    "no dimensions": (saved(np.complex128(1)), "is a single number"),
    "five dimensions": (saved(np.zeros((1, 1, 1, 1, 3))), "has 5 dimensions"),
    "six dimensions": (saved(np.zeros((1, 1, 1, 1, 1, 2))), "has 6 dimensions"),
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
    "header of gigabytes": (
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        "damaged .npy header: it claims 4294967295",
    ),
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


@pytest.mark.parametrize("names", [("r", "i"), ("re", "im"), ("Real", "Imag")])
@pytest.mark.parametrize(("parts", "yielded"), [("<f8", "=c16"), (">f4", "=c8")])
def test_records_of_two_real_fields_are_complex(
    tmp_path: Path, names: tuple[str, str], parts: str, yielded: str
) -> None:
    psi = some((4, 5, 2)).astype(yielded)
    records = np.empty(psi.shape, [(name, parts) for name in names], order="F")
    records[names[0]], records[names[1]] = psi.real, psi.imag
    np.save(tmp_path / "psi.npy", records)
    with opened(tmp_path / "psi.npy") as source:
        assert source.order == "F"
        for values in (source, array(records)):
            got = values.read(source.grid.whole)
            assert got.dtype == np.dtype(yielded)
            np.testing.assert_array_equal(got[0], psi)


@pytest.mark.parametrize("shape", [(7, 2), (2, 7), (2, 2), (3, 4, 2), (2, 4, 5, 6), (4, 5, 6, 2)])
def test_real_numbers_with_a_dimension_of_two_are_asked_about_on_every_road(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    values = some(shape, np.float64)
    np.save(tmp_path / "psi.npy", values)
    roads: list[Callable[..., Source]] = [partial(npy, tmp_path / "psi.npy"), partial(array, values)]
    for taken in roads:
        with pytest.raises(InvalidInput, match=r"re and im, or two points\?") as asked:
            taken()
        parts, points = re.findall(r"dims='(\S+)' says parts, dims='(\S+)' points", str(asked.value))[0]
        with closing(taken(dims=points)) as source:
            np.testing.assert_array_equal(source.read(source.grid.whole), as_4d(values))
        with closing(taken(dims=parts)) as source:
            place = parts.split(",").index("c")
            re_im = np.moveaxis(values, place, 0)
            np.testing.assert_array_equal(source.read(source.grid.whole), as_4d(re_im[0] + 1j * re_im[1]))
    np.save(tmp_path / "psi.npy", values.astype(complex))
    with opened(tmp_path / "psi.npy") as source:
        assert source.grid.shape == array(values.astype(complex)).grid.shape == as_4d(values).shape
