"""Files that claim more than they hold: refused, or read, with the memory of a piece."""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from qwf_async.errors import InvalidInput
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import npz, open_source
from tests.source.test_sources_files import header
from tests.source.written_files import whole

READ = """
import sys
from qwf_async.errors import InvalidInput
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import open_source
import zipfile, gzip  # what is imported is not counted
def peak(): return int(next(line for line in open("/proc/self/status") if "VmHWM" in line).split()[1])
before, said = peak(), "read"
try:
    source = open_source(sys.argv[1])
    for chunk in BoxPlan.cut(source.grid.shape, order=source.order):
        source.read(chunk.box)
    source.close()
except InvalidInput as error:
    said = str(error)
print(peak() - before, said)
"""


def tried(text: str) -> tuple[int, str]:
    """KiB by which the memory of a process grew that opened and read this, and what it said."""
    ran = subprocess.run(
        [sys.executable, "-c", READ, text],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    grown, _, said = ran.stdout.strip().partition(" ")
    return int(grown), said


def claimed(path: Path, content: bytes, size: int, kind: int) -> None:
    """A zip file of one member, whose sizes say that it has `size` bytes."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("psi.npy", content)
    data = path.read_bytes()
    central = data.rindex(b"PK\x01\x02")
    packed = size if kind == zipfile.ZIP_STORED else struct.unpack_from("<I", data, central + 20)[0]
    for place in (18, central + 20):
        data = data[:place] + struct.pack("<II", packed, size) + data[place + 8 :]
    path.write_bytes(data)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_that_claims_gigabytes_is_refused_when_it_is_opened(tmp_path: Path, kind: int) -> None:
    begins = header((2**27,))
    claimed(tmp_path / "psi.npz", begins, len(begins) + 2**31, kind)
    with pytest.raises(InvalidInput, match=r"psi is damaged: it claims 2147483\d{3} bytes in"):
        npz(tmp_path / "psi.npz")
    values = begins.replace(b"134217728", b"4        ") + bytes(64)
    claimed(tmp_path / "psi.npz", values, len(values), kind)
    with closing(npz(tmp_path / "psi.npz")) as source:
        assert not whole(source).any()


def test_a_header_that_unpacks_to_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    size = 1 << 27
    with zipfile.ZipFile(tmp_path / "psi.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("psi.npy", b"\x93NUMPY\x02\x00" + size.to_bytes(4, "little") + bytes(size))
    grown, said = tried(f"{tmp_path}/psi.npz")
    assert f"damaged .npy header: it claims {size} bytes" in said
    assert grown < 32 * 1024


@pytest.mark.parametrize("shape", [(1, 2**23), (1, 128, 256, 256), (2**23,)])
def test_a_compressed_member_of_long_rows_is_read_in_pieces(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.savez_compressed(tmp_path / "psi.npz", np.zeros(shape, complex))
    grown, said = tried(f"{tmp_path}/psi.npz")
    assert said == "read"
    assert grown < 48 * 1024


@pytest.mark.parametrize("shape", [(3, 7), (2, 3, 500), (4, 5, 6, 7), (1, 70_000), (70_001,)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_compressed_members_of_any_shape_are_read_in_any_pieces(
    tmp_path: Path, shape: tuple[int, ...], order: str
) -> None:
    values = (np.arange(np.prod(shape)) * (1 + 2j)).reshape(shape, order="F" if order == "F" else "C")
    np.savez_compressed(tmp_path / "psi.npz", values)
    with closing(open_source(f"{tmp_path}/psi.npz")) as source:
        expected = whole(source)
        np.testing.assert_array_equal(expected.reshape(shape), values)
        for points in (13, 20_000):
            for chunk in list(BoxPlan.cut(source.grid.shape, order=source.order, points=points))[:300]:
                np.testing.assert_array_equal(source.read(chunk.box), expected[chunk.box.slices])
