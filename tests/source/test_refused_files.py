"""Files that cannot be used are refused in one line: which array is meant, what is wrong, what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput, UsageError
from qwf_async.source import open_source
from tests.source.written_files import (
    npz,
    npz_compressed,
    raw,
)
from tests.support.loads import wave

Array = NDArray[Any]


def h5(path: Path, **sets: Any) -> str:
    with h5py.File(path / "a.h5", "w") as file:
        for name, values in sets.items():
            file[name.replace("__", "/")] = values
    return f"{path}/a.h5"


def half_named(path: Path) -> str:
    name = h5(path, psi=wave(5, 4, 3))
    with h5py.File(name, "a") as file:
        file["psi"].dims[1].label = "lat"
    return name


def empty(path: Path) -> str:
    (path / "a.zarr").mkdir()
    return f"{path}/a.zarr"


REFUSALS: dict[str, tuple[Callable[[Path], str], str]] = {
    "wrong path": (lambda p: h5(p, a__psi=wave(4), b=[1.0]) + ":/psi", "has no array 'psi': it has a/psi, b"),
    "several": (lambda p: h5(p, u=wave(4), v=wave(4)), "holds 2 arrays: name one as .*; it has u, v"),
    "half": (lambda p: h5(p, psi_re=[1.0, 2.0, 3.0]), "holds psi_re but no im that belongs to it"),
    "no half": (lambda p: h5(p, re=[1.0, 2.0], x=[1.0]) + ":re,im", "has no array 'im': it has re, x"),
    "unequal": (lambda p: h5(p, re=[1.0, 2.0], im=[1.0]), "unequal shapes"),
    "two points or parts": (
        lambda p: h5(p, psi=np.ones((4, 4, 2))),
        "dims='x,y,c' says parts, dims='x,y,z' points",
    ),
    "half named": (
        half_named,
        "one without a name, lat, one without a name: that is none of .*, as in dims='x,y,z'$",
    ),
    "text": (lambda p: h5(p, psi=["a", "b"]), "holds no array of numbers"),
    "a number": (lambda p: h5(p, psi=1.0), "holds no array of numbers"),
    "five": (lambda p: h5(p, psi=np.ones((3, 3, 3, 3, 3))), "four at most"),
    "empty": (lambda p: h5(p, psi=np.ones((3, 0))), "is empty"),
    "no file": (lambda p: f"{p}/none.h5:/psi", "none.h5 cannot be opened: No such file"),
    "no member": (lambda p: npz(p, wave(3)).replace(":psi", ":phi"), "has no array 'phi': it has psi, other"),
    "raw length": (lambda p: raw(p, wave(3)).replace("shape=3", "shape=4"), "has 53 bytes, where 4 numbers"),
    "raw shape": (lambda p: raw(p, wave(3)).partition(":shape")[0], "is raw: give its shape"),
    "raw type": (lambda p: raw(p, wave(3)).replace(">c16", "c15"), "dtype=c15 is none of"),
    "too much after npy": (lambda p: f"{p}/a.npy:psi", "is one array: nothing can follow it"),
    "half a pair of cubes": (lambda p: f"{p}/re.cube,", "one cube file, or two"),
    "no directory": (lambda p: f"{p}/none.zarr", "none.zarr cannot be opened"),
    "empty directory": (empty, "is a directory, and no Zarr hierarchy"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    make, message = REFUSALS[case]
    with pytest.raises(InvalidInput, match=message) as caught:
        open_source(make(tmp_path)).close()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("dims", "error", "message"),
    [
        ("x,y", InvalidInput, "has 3 dimensions of 3×4×5 points, but dims names 2"),
        ("x,y,y", InvalidInput, "two of its dimensions would be y"),
        ("x,y,-", InvalidInput, "a dimension of 5 points cannot be left out"),
        ("x,y,c", InvalidInput, "a dimension of two real numbers"),
        ("x,y,w", UsageError, "cannot be read"),
        ("lon=x", InvalidInput, "has no dimension 'lon'"),
        ("=x", UsageError, "cannot be read"),
    ],
)
def test_dims_that_do_not_fit_are_refused(
    tmp_path: Path, dims: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_source(h5(tmp_path, psi=wave(3, 4, 5)), dims=dims)


def test_a_file_that_is_changed_or_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    text = npz(tmp_path, wave(8, 8, 8))
    with closing(open_source(text)) as source:
        source.read(source.grid.whole)
        with (tmp_path / "psi.npz").open("ab") as file:
            file.write(b"x")
        with pytest.raises(InvalidInput, match="changed while it was read"):
            source.read(source.grid.whole)


def test_what_was_told_of_a_raw_file_is_part_of_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(96))
    texts = [f"{tmp_path}/a.raw:shape=6,dtype={t}" for t in ("c16", ">c16")]
    texts += [f"{tmp_path}/a.raw:shape=2x3,order={order}" for order in "CF"]
    found = set()
    for text in texts:
        with closing(open_source(text)) as source:
            found.add(source.fingerprint())
    assert len(found) == 4


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", psi=np.array([{}, []], dtype=object))
    with pytest.raises(InvalidInput, match="holds Python objects"):
        open_source(f"{tmp_path}/a.npz")


def test_a_compressed_member_is_refused_out_of_order(tmp_path: Path) -> None:
    text = npz_compressed(tmp_path, wave(4, 4, 4))
    with closing(open_source(text)) as source:
        variable = source.parts[0]  # type: ignore[attr-defined] # of VariableSource

        def read(rows: Sequence[int]) -> None:
            for row in rows:
                variable.read((slice(row, row + 1), slice(0, 4), slice(0, 4)))

        read((3, 0) * 4)
        with pytest.raises(InvalidInput, match="asked for out of its order"):
            read((3, 0) * 8)


def test_a_missing_library_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    text = h5(tmp_path, psi=wave(3))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r"reading HDF5 needs h5py.*pip install 'qwf_async\[files\]'"):
        open_source(text)
