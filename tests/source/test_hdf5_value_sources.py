"""HDF5 data sets whose values are elsewhere (virtual, external storage), and what of them is missing or changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import InvalidInput
from qwf_async.source import array, open_source
from tests.conftest import Server
from tests.support.command import Shell
from tests.support.loads import contents, wave

Array = NDArray[Any]
PSI = wave(4, 5, 3, 2)
ENDLESS = h5py.h5s.UNLIMITED


def touch(path: Path) -> None:
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def frames(path: Path, psi: Array = PSI, **how: Any) -> str:
    """A virtual data set of frames, each in a file of its own."""
    layout = h5py.VirtualLayout(psi.shape, psi.dtype)
    for t, frame in enumerate(psi):
        with h5py.File(path / f"f{t}.h5", "w") as file:
            file.create_dataset("psi", data=frame, **how)
        layout[t] = h5py.VirtualSource(f"f{t}.h5", "psi", frame.shape)
    with h5py.File(path / "run.h5", "w") as file:
        file.create_virtual_dataset("psi", layout)
    return f"{path}/run.h5"


def mapped(
    path: Path, *mappings: tuple[str, str, tuple[Any, ...], tuple[Any, ...] | None], shape: Any = (1, 6)
) -> str:
    """A growing virtual data set by mappings: name and path of the source, and the two selections as hyperslabs.

    A hyperslab is start, count, stride, block; a source's None is all of its `shape`.
    """
    with h5py.File(path / "run.h5", "w") as file:
        largest = (ENDLESS, *shape[1:])
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        for name, inner, outer, taken in mappings:
            virtual = h5py.h5s.create_simple(shape, largest)
            virtual.select_hyperslab(*outer)
            source = h5py.h5s.create_simple(
                shape[1:] if taken is None else shape, None if taken is None else largest
            )
            if taken is not None:
                source.select_hyperslab(*taken)
            create.set_virtual(virtual, name.encode(), inner.encode(), source)
        space = h5py.h5s.create_simple(shape, largest)
        h5py.h5d.create(file.id, b"psi", h5py.h5t.NATIVE_DOUBLE, space, dcpl=create)
    return f"{path}/run.h5"


def counted(path: Path, count: int = 3) -> str:
    """One mapping that names its sources by their number, and those sources."""
    for k in range(count):
        with h5py.File(path / f"a%{k}.h5", "w") as file:
            file["psi"] = np.arange(6.0) + 10 * k
    return mapped(path, ("a%%%b.h5", "psi", ((0, 0), (ENDLESS, 1), (1, 1), (1, 6)), None))


def interleaved(path: Path, frames: tuple[int, int] = (3, 3)) -> str:
    """Two files that grow, and whose frames alternate."""
    for k, many in enumerate(frames):
        with h5py.File(path / f"d{k}.h5", "w") as file:
            file["psi"] = np.arange(many * 6.0).reshape(many, 6) + 100 * k
    every = ((0, 0), (ENDLESS, 1), (1, 1), (1, 6))
    return mapped(
        path,
        ("d0.h5", "psi", ((0, 0), (ENDLESS, 1), (2, 1), (1, 6)), every),
        ("d1.h5", "psi", ((1, 0), (ENDLESS, 1), (2, 1), (1, 6)), every),
    )


def external(path: Path) -> str:
    """Two raw files, one after the other, the first not from its beginning."""
    half = PSI.nbytes // 2
    (path / "a.raw").write_bytes(b"head" + PSI.tobytes()[:half])
    (path / "b.raw").write_bytes(PSI.tobytes()[half:])
    with h5py.File(path / "run.h5", "w") as file:
        parts = [(str(path / "a.raw"), 4, half), (str(path / "b.raw"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("psi", shape=PSI.shape, dtype=PSI.dtype, external=parts)
    return f"{path}/run.h5"


def nested(path: Path) -> str:
    """A virtual data set of a virtual data set, which is reached by a link."""
    inner = path / "inner"
    inner.mkdir()
    frames(inner)
    with h5py.File(path / "middle.h5", "w") as file:
        file["there"] = h5py.ExternalLink("inner/run.h5", "/psi")
    layout = h5py.VirtualLayout(PSI.shape, PSI.dtype)
    layout[...] = h5py.VirtualSource("middle.h5", "there", PSI.shape)
    with h5py.File(path / "outer.h5", "w") as file:
        file.create_virtual_dataset("psi", layout)
    return f"{path}/outer.h5"


def values(source: str, **options: Any) -> Array:
    with closing(open_source(source, **options)) as opened:
        return opened.read(opened.grid.whole)


def read_elsewhere(source: str, limit: int = 1000, dims: str | None = None, **variables: str) -> bytes:
    """The values as bytes, read by a process of its own that may open so many files."""
    script = (
        "import resource, sys; from qwf_async.source import array, open_source\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))\n"
        f"s = open_source(sys.argv[1], dims={dims!r}); sys.stdout.buffer.write(s.read(s.grid.whole).tobytes())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, source], capture_output=True, check=True, env=os.environ | variables
    )
    return ran.stdout


def refusal(source: str, **options: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        open_source(source, **options).close()
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("make", [frames, external, nested])
def test_all_of_it_is_read(tmp_path: Path, make: Callable[[Path], str]) -> None:
    np.testing.assert_array_equal(values(make(tmp_path)), PSI)


def test_sources_that_are_counted_or_grow_are_read(tmp_path: Path) -> None:
    rows = np.arange(6.0) + 10 * np.arange(3.0)[:, None]
    np.testing.assert_array_equal(values(counted(tmp_path), dims="x,y")[0, :, :, 0], rows)
    alternate = values(interleaved(tmp_path), dims="x,y")[0, :, :, 0]
    np.testing.assert_array_equal(alternate[::2], np.arange(18.0).reshape(3, 6))
    np.testing.assert_array_equal(alternate[1::2], np.arange(18.0).reshape(3, 6) + 100)


SOURCES: dict[str, tuple[Callable[[Path], str], list[str]]] = {
    "virtual": (frames, ["run.h5", "f0.h5", "f3.h5"]),
    "nested": (nested, ["outer.h5", "middle.h5", "inner/run.h5", "inner/f2.h5"]),
    "counted": (counted, ["run.h5", "a%0.h5", "a%2.h5"]),
    "grown": (interleaved, ["d0.h5", "d1.h5"]),
    "external": (external, ["run.h5", "a.raw", "b.raw"]),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in SOURCES for name in SOURCES[kind][1]])
def test_every_file_behind_it_is_in_the_fingerprint_and_watched(tmp_path: Path, kind: str, name: str) -> None:
    with closing(open_source(SOURCES[kind][0](tmp_path), dims=None)) as opened:
        before = opened.fingerprint()
        touch(tmp_path / name)
        assert opened.fingerprint() != before
        with pytest.raises(InvalidInput, match=rf"{name} was changed while it was read: start again"):
            opened.read(opened.grid.whole)
        (tmp_path / name).unlink()
        with pytest.raises(InvalidInput, match=f"{name} is gone"):
            opened.fingerprint()


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("virtual", "f2.h5", "run.h5:/psi is a virtual data set, and its source f2.h5 is missing"),
        ("nested", "inner/f2.h5", "its source f2.h5 is missing"),
        (
            "nested",
            "inner/run.h5",
            "middle.h5:/there is a link to inner/run.h5:/psi, but the file inner/run.h5 is",
        ),
        ("nested", "middle.h5", "outer.h5:/psi is a virtual data set, and its source middle.h5 is missing"),
        ("counted", "a%0.h5", "its source a%0.h5 is missing"),
        (
            "counted",
            "a%1.h5",
            "its source a%1.h5 is missing, though number 2 is there: it would end too soon",
        ),
        ("grown", "d1.h5", "its source d1.h5 is missing"),
        ("external", "b.raw", "has its values in .*b.raw, which cannot be read: No such file"),
    ],
)
def test_what_is_gone_is_named(tmp_path: Path, kind: str, name: str, message: str) -> None:
    import re

    source = SOURCES[kind][0](tmp_path)
    (tmp_path / name).rename(tmp_path / "moved")
    assert re.search(message, refusal(source))


def test_counted_data_sets_of_one_file_are_all_there(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "all.h5", "w") as file:
        for k in (0, 1, 3):
            file[f"g/row{k}"] = np.arange(6.0) + 10 * k
    source = mapped(tmp_path, ("all.h5", "/g/row%b", ((0, 0), (ENDLESS, 1), (1, 1), (1, 6)), None))
    assert "its source /g/row2 is missing, though number 3 is there" in refusal(source)
    with h5py.File(tmp_path / "all.h5", "a") as file:
        file["g/row2"] = np.arange(6.0) + 20
    rows = np.arange(6.0) + 10 * np.arange(4.0)[:, None]
    np.testing.assert_array_equal(values(source)[0, :, :, 0], rows)


def test_a_source_that_holds_less_than_is_taken_of_it_is_named(tmp_path: Path) -> None:
    source = frames(tmp_path)
    with h5py.File(tmp_path / "f1.h5", "w") as file:
        file["psi"] = PSI[1, :4]
    assert "its source f1.h5:psi has the shape (4, 3, 2), where" in refusal(source)
    with h5py.File(tmp_path / "f1.h5", "w") as file:
        file["phi"] = PSI[1]
    assert "its source f1.h5:psi holds no such data set" in refusal(source)
    (tmp_path / "f1.h5").write_bytes(b"no HDF5 file")
    assert "its source f1.h5 is missing or is no HDF5 file" in refusal(source)
    source = interleaved(tmp_path, (5, 3))
    assert "its source d1.h5:psi has the shape (3, 6), which gives 3 along its axis 0 where 4 are" in refusal(
        source
    )


def test_a_part_beyond_the_end_of_a_source_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["psi"] = np.ones((3, 6))
    taken = ((1, 0), (1, 1), (1, 1), (3, 6))
    source = mapped(tmp_path, ("d.h5", "psi", ((0, 0), (1, 1), (1, 1), (3, 6)), taken), shape=(4, 6))
    assert "its source d.h5:psi has the shape (3, 6), where it must reach to (4, 6)" in refusal(source)


def test_raw_files_that_are_too_short_are_named(tmp_path: Path) -> None:
    source = external(tmp_path)
    os.truncate(tmp_path / "a.raw", 100)
    assert "a.raw, which has 100 bytes where 964 are needed" in refusal(source)


def test_the_advice_on_raw_files_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without a directory is looked for where the command runs, and not beside the file."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("run.h5", "w") as file:
        parts = [("a.raw", 0, PSI.nbytes)]
        file.create_dataset("psi", shape=PSI.shape, dtype=PSI.dtype, external=parts)[...] = PSI
    monkeypatch.chdir(tmp_path.parent)
    source = f"{tmp_path}/run.h5"
    assert "HDF5_EXTFILE_PREFIX can name its directory, '${ORIGIN}' that of the HDF5 file" in refusal(source)
    for place in ("${ORIGIN}", str(tmp_path)):
        assert read_elsewhere(source, HDF5_EXTFILE_PREFIX=place) == PSI.tobytes()


def test_sources_are_found_where_the_library_finds_them(tmp_path: Path) -> None:
    """By a variable, beside the file, beside what a link to it leads to, and a name that was absolute before a move."""
    there = tmp_path / "there"
    there.mkdir()
    source = frames(there)
    (tmp_path / "link.h5").symlink_to(there / "run.h5")
    np.testing.assert_array_equal(values(f"{tmp_path}/link.h5"), PSI)
    layout = h5py.VirtualLayout(PSI.shape, PSI.dtype)
    for t in range(len(PSI)):
        layout[t] = h5py.VirtualSource(f"/nowhere/f{t}.h5", "psi", PSI.shape[1:])
    with h5py.File(there / "run.h5", "w") as file:
        file.create_virtual_dataset("psi", layout)
    np.testing.assert_array_equal(values(source), PSI)
    (there / "run.h5").rename(tmp_path / "run.h5")
    refusal(f"{tmp_path}/run.h5")
    # The library reads the variable once, when it starts.
    assert read_elsewhere(f"{tmp_path}/run.h5", HDF5_VDS_PREFIX=f"/nowhere:{there}") == PSI.tobytes()


def test_more_sources_than_files_may_be_open_are_read(tmp_path: Path) -> None:
    """Where the library cannot open a source, it takes fill values."""
    psi = wave(300, 3, 2, 2)
    source = frames(tmp_path, psi)
    assert read_elsewhere(source, limit=128) == psi.tobytes()


def test_more_sources_at_one_point_than_files_may_be_open_are_refused(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((300, 2), "f8")
    for k in range(150):
        with h5py.File(tmp_path / f"i{k}.h5", "w") as file:
            file["psi"] = np.full((2, 2), k + 1.0)
        layout[k::150] = h5py.VirtualSource(f"i{k}.h5", "psi", (2, 2))
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file.create_virtual_dataset("psi", layout)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        read_elsewhere(f"{tmp_path}/run.h5", limit=180, dims="x,y")
    assert (
        b"needs 150 files open at once, and this process may open 180: run `ulimit -n" in caught.value.stderr
    )
    found = np.frombuffer(read_elsewhere(f"{tmp_path}/run.h5", limit=400, dims="x,y"), complex)
    np.testing.assert_array_equal(found.reshape(300, 2)[:, 0], np.tile(np.arange(1.0, 151), 2))


def test_packed_sources_are_read_in_their_own_blocks(tmp_path: Path) -> None:
    with closing(open_source(frames(tmp_path, chunks=(5, 3, 1), compression=1))) as opened:
        assert opened.parts[0].chunk == (1, 5, 3, 1)  # type: ignore[attr-defined] # of VariableSource
        np.testing.assert_array_equal(opened.read(opened.grid.whole), PSI)


def test_a_coordinate_that_is_virtual_is_looked_through_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "axis.h5", "w") as file:
        file["x"] = np.arange(5.0)
    layout = h5py.VirtualLayout((5,), "f8")
    layout[...] = h5py.VirtualSource("axis.h5", "x", (5,))
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["psi"] = PSI[0]
        file.create_virtual_dataset("x", layout).make_scale("x")
        file["psi"].dims[0].attach_scale(file["x"])
        for place, name in ((1, "y"), (2, "z")):
            file["psi"].dims[place].label = name
    with closing(open_source(f"{tmp_path}/run.h5")) as opened:
        before = opened.fingerprint()
        assert opened.grid.axes[1].step == 1.0
    touch(tmp_path / "axis.h5")
    with closing(open_source(f"{tmp_path}/run.h5")) as opened:
        assert opened.fingerprint() != before
    (tmp_path / "axis.h5").unlink()
    assert "run.h5:/x is a virtual data set, and its source axis.h5 is missing" in refusal(
        f"{tmp_path}/run.h5"
    )


def test_a_dry_run_and_an_ingest_refuse_alike_and_nothing_is_written(server: Server, tmp_path: Path) -> None:
    source, shell = frames(tmp_path), Shell.at(tmp_path, QWF_URL=server.url)
    (tmp_path / "f2.h5").unlink()
    for options in (["--dry-run"], []):
        ran = shell.qwf("ingest", source, *options)
        assert ran.status == 7
        assert "its source f2.h5 is missing" in ran.err
    assert contents(server) == {}


def test_a_data_set_that_is_handed_over_is_looked_through_too(tmp_path: Path) -> None:
    with h5py.File(frames(tmp_path)) as file, closing(array(file["psi"])) as source:
        np.testing.assert_array_equal(source.psi, PSI)
        (tmp_path / "f2.h5").unlink()
        with pytest.raises(InvalidInput, match=r"f2.h5 is gone"):
            source.read(source.grid.whole)
        with pytest.raises(
            InvalidInput, match=r"the array is a virtual data set, and its source f2.h5 is missing"
        ):
            array(file["psi"])
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        file["psi"] = PSI
        with closing(array(file["psi"])) as source:
            np.testing.assert_array_equal(source.psi, PSI)
