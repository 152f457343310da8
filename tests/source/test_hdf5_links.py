"""HDF5 data sets behind hard, soft and external links, and filters that are no part of HDF5."""

from __future__ import annotations

import gzip
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
from qwf_async.source import open_source
from tests.support.loads import wave

Array = NDArray[Any]
PSI = wave(2, 4, 3, 5)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test runs, with a file `target.h5` that holds `group/psi`."""
    monkeypatch.chdir(tmp_path)
    with h5py.File("target.h5", "w") as file:
        file["group/psi"] = PSI
    return tmp_path


def linked(**links: Any) -> None:
    """`master.h5` with these links, paths written with __."""
    with h5py.File("master.h5", "w") as file:
        for path, link in links.items():
            file[path.replace("__", "/")] = link


def values(source: str) -> Array:
    with closing(open_source(source)) as opened:
        return opened.read(opened.grid.whole)


def refusal(source: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        open_source(source).close()
    assert str(caught.value).isprintable()
    return str(caught.value)


def hard(_: Path) -> str:
    with h5py.File("master.h5", "w") as file:
        file["entry/data"], file["other"] = PSI, PSI.real
        file["latest"] = file["entry/data"]
    return "master.h5:/latest"


def soft(_: Path) -> str:
    linked(run__7__psi=PSI, latest=h5py.SoftLink("/run/7"), default=h5py.SoftLink("latest/psi"))
    return "master.h5:/default"


def up(_: Path) -> str:
    """A soft link is relative to its group; one of them leads back to the root."""
    linked(a__b__psi=PSI, a__psi=h5py.SoftLink("b/psi"), a__b__root=h5py.SoftLink("/"))
    return "master.h5:a/b/root/a/psi"


def external(_: Path) -> str:
    linked(run=h5py.ExternalLink("target.h5", "/group"))
    return "master.h5:/run/psi"


def chain(_: Path) -> str:
    with h5py.File("middle.h5", "w") as file:
        file["run"] = h5py.ExternalLink("target.h5", "/group")
        file["alias"] = h5py.SoftLink("/run/psi")
    linked(psi=h5py.ExternalLink("middle.h5", "/alias"))
    return "master.h5:psi"


def itself(_: Path) -> str:
    """A file that names itself, as one that was copied together may."""
    linked(group__psi=PSI, psi=h5py.ExternalLink("master.h5", "/group/psi"))
    return "master.h5:psi"


def pair(_: Path) -> str:
    with h5py.File("target.h5", "w") as file:
        file["a/re"], file["a/im"] = PSI.real, PSI.imag
    linked(real=h5py.ExternalLink("target.h5", "/a/re"), imaginary=h5py.ExternalLink("target.h5", "/a/im"))
    return "master.h5:real,imaginary"


def pair_in_a_linked_group(_: Path) -> str:
    with h5py.File("target.h5", "w") as file:
        file["a/re"], file["a/im"] = PSI.real, PSI.imag
    linked(run=h5py.ExternalLink("target.h5", "/a"))
    return "master.h5:run"


def alone(_: Path) -> str:
    """The only array of a file, which needs no name, is behind a link."""
    linked(entry__data=h5py.ExternalLink("target.h5", "/group/psi"))
    return "master.h5"


def seen_twice(_: Path) -> str:
    """Two names of one array are one array, and a group within itself has no end."""
    with h5py.File("master.h5", "w") as file:
        file["psi"] = PSI
        file["group/psi"] = file["psi"]
        file["group/again"] = file["group"]
        file["soft"] = h5py.SoftLink("/psi")
    return "master.h5"


def packed_beyond(_: Path) -> str:
    """Blocks that are read beside the library, in the file where they are."""
    with h5py.File("target.h5", "w") as file:
        file["before"] = np.zeros(1000)
        file.create_dataset("psi", data=PSI, chunks=(1, 4, 3, 5))
    linked(psi=h5py.ExternalLink("target.h5", "psi"), z=np.zeros(5000))
    return "master.h5:psi"


WAYS: list[Callable[[Path], str]] = [
    hard, soft, up, external, chain, itself, pair, pair_in_a_linked_group, alone, seen_twice, packed_beyond,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_link_leads_to_the_array(
    directory: Path, way: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["qwf_async.source.formats.hdf5.hdf5_blocks"], "PLAIN_BYTES", 1)
    np.testing.assert_array_equal(values(way(directory)), PSI)


def test_every_file_on_the_way_is_in_the_fingerprint(directory: Path) -> None:
    source = chain(directory)
    with closing(open_source(source)) as opened:
        before = opened.fingerprint()
        for name in ("master.h5", "middle.h5", "target.h5"):
            now = Path(name).stat().st_mtime_ns
            os.utime(name, ns=(1, now + 1))
            assert opened.fingerprint() != before
            os.utime(name, ns=(1, now))
            assert opened.fingerprint() == before


@pytest.mark.parametrize(
    ("links", "member", "message"),
    [
        ({"psi": h5py.ExternalLink("gone.h5", "/psi")}, ":psi", "to gone.h5:/psi, but the file gone.h5 is missing"),
        ({"psi": h5py.ExternalLink("target.h5", "/a")}, ":psi", "is a link to target.h5:/a, where there is nothing"),
        ({"psi": h5py.SoftLink("/a")}, ":psi", "master.h5:/psi is a link to /a, where there is nothing"),
        ({"a": h5py.SoftLink("/b"), "b": h5py.SoftLink("/a")}, ":a", "through more than 64 links: a circle"),
        ({"psi": h5py.SoftLink("/a")}, "", "master.h5:/psi is a link to /a, where there is nothing"),
        ({"psi": h5py.SoftLink("/a"), "v": [1.0, 2.0]}, "", "holds 2 arrays: name one as .*; it has psi, v"),
    ],
)  # fmt: skip
def test_a_link_that_leads_nowhere_is_named(
    directory: Path, links: dict[str, Any], member: str, message: str
) -> None:
    linked(**links)
    with pytest.raises(InvalidInput, match=message):
        open_source("master.h5" + member)


def test_a_compressed_file_that_names_another_is_refused(directory: Path) -> None:
    """Unpacked it lies elsewhere, and nothing is beside it."""
    linked(group__psi=PSI, psi=h5py.ExternalLink("target.h5", "/group/psi"), soft=h5py.SoftLink("/group/psi"))
    Path("master.h5.gz").write_bytes(gzip.compress(Path("master.h5").read_bytes()))
    np.testing.assert_array_equal(values("master.h5.gz:soft"), PSI)
    assert "the HDF5 file names another, target.h5, which is looked for beside it" in refusal(
        "master.h5.gz:psi"
    )
    layout = h5py.VirtualLayout(PSI.shape, PSI.dtype)
    layout[...] = h5py.VirtualSource("target.h5", "group/psi", PSI.shape)
    with h5py.File("virtual.h5", "w") as file:
        file.create_virtual_dataset("psi", layout)
    Path("virtual.h5.gz").write_bytes(gzip.compress(Path("virtual.h5").read_bytes()))
    assert "the HDF5 file names another, target.h5" in refusal("virtual.h5.gz")


def test_what_numpy_has_no_type_for_is_passed_over(directory: Path) -> None:
    with h5py.File("psi.h5", "w") as file:
        file["psi"] = PSI
        space = h5py.h5s.create_simple((3,))
        h5py.h5d.create(file.id, b"time", h5py.h5t.UNIX_D32LE, space)
    np.testing.assert_array_equal(values("psi.h5"), PSI)


def apart(script: str, *arguments: str) -> bytes:
    """What a process of its own prints: netCDF4 brings filters too, and says where to all that is begun after it."""
    clean = {name: value for name, value in os.environ.items() if name != "HDF5_PLUGIN_PATH"}
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; {script}", *arguments],
        capture_output=True,
        check=True,
        env=clean,
    )
    return ran.stdout


def packed(name: str, path: str, how: str, array: Array = PSI) -> None:
    """Add a data set of one block that a filter of hdf5plugin has packed."""
    np.save("values.npy", array)
    apart(
        "import h5py, hdf5plugin, numpy; file = h5py.File(sys.argv[1], 'a'); psi = numpy.load('values.npy')\n"
        f"file.create_dataset(sys.argv[2], data=psi, chunks=psi.shape, **hdf5plugin.{how}); file.close()",
        name,
        path,
    )


def without_plugin(source: str) -> str:
    """What is said where it is not installed."""
    script = (
        "sys.modules['hdf5plugin'] = None\n"
        "from qwf_async.errors import InvalidInput\n"
        "from qwf_async.source import open_source\n"
        "try: open_source(sys.argv[1])\n"
        "except InvalidInput as error: print(error)"
    )
    return apart(script, source).decode().strip()


@pytest.mark.parametrize(
    ("how", "name"),
    [("Blosc()", "blosc (32001)"), ("Zstd()", "zstd (32015)"), ("Bitshuffle()", "bitshuffle (32008)")],
)
def test_a_filter_is_taken_from_hdf5plugin_or_named_with_what_to_install(
    directory: Path, how: str, name: str
) -> None:
    packed("packed.h5", "psi", how)
    script = (
        "from qwf_async.source import open_source; s = open_source(sys.argv[1])\n"
        "sys.stdout.buffer.write(s.read(s.grid.whole).tobytes())"
    )
    assert apart(script, "packed.h5") == PSI.tobytes()
    said = without_plugin("packed.h5")
    assert (
        said
        == f"packed.h5:/psi is packed by the filter {name}, which is not installed: pip install hdf5plugin"
    )


def test_a_filter_of_a_source_or_a_coordinate_is_named_too(directory: Path) -> None:
    packed("f.h5", "psi", "LZ4()")
    layout = h5py.VirtualLayout(PSI.shape, PSI.dtype)
    layout[...] = h5py.VirtualSource("f.h5", "psi", PSI.shape)
    with h5py.File("virtual.h5", "w") as file:
        file.create_virtual_dataset("psi", layout)
    assert without_plugin("virtual.h5").startswith("f.h5:/psi is packed by the filter lz4 (32004), which")
    packed("scaled.h5", "x", "LZ4()", np.arange(4.0))
    with h5py.File("scaled.h5", "a") as file:
        file["psi"] = PSI[0, :, 0, 0]
        file["x"].make_scale("x")
        file["psi"].dims[0].attach_scale(file["x"])
    assert without_plugin("scaled.h5").startswith("scaled.h5:/x is packed by the filter lz4 (32004), which")


def test_a_filter_that_nobody_used_is_not_asked_for(directory: Path) -> None:
    """No block was written, or each was left as it was because it did not shrink."""
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk(PSI.shape)
    create.set_filter(32999, h5py.h5z.FLAG_OPTIONAL)
    space, kind = h5py.h5s.create_simple(PSI.shape), h5py.h5t.py_create(PSI.dtype, logical=True)
    with h5py.File("unused.h5", "w") as file:
        h5py.h5d.create(file.id, b"empty", kind, space, dcpl=create)
        left = h5py.h5d.create(file.id, b"left", kind, space, dcpl=create)
        left.write_direct_chunk((0, 0, 0, 0), PSI.tobytes(), filter_mask=1)
    np.testing.assert_array_equal(values("unused.h5:left"), PSI)
    assert not values("unused.h5:empty").any()


def test_a_filter_that_nobody_has_is_named(directory: Path) -> None:
    with h5py.File("odd.h5", "w") as file:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((4,))
        create.set_filter(32999, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((4,))
        data = h5py.h5d.create(file.id, b"psi", h5py.h5t.NATIVE_DOUBLE, space, dcpl=create)
        data.write_direct_chunk((0,), b"packed", filter_mask=0)
    said = refusal("odd.h5")
    assert said.startswith(
        "odd.h5:/psi is packed by the filter without a name (32999), which is not installed"
    )
    assert "HDF5_PLUGIN_PATH" in said
