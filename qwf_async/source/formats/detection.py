"""What a file is, told by its content: its first bytes, or the names of what a directory or a zip file holds.

Sources of the marks: HDF5 File Format Specification 3.0, II.A (the superblock begins at byte
0, 512, 1024, and so on); NetCDF Classic Format Specification; NumPy Enhancement Proposal 1;
PKWARE's APPNOTE; RFC 1952 and 8878; MATLAB, "MAT-File Format".
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from typing import IO, Final

from ...errors import InvalidInput, QwfError
from .decompression import content
from .raw.fortran_records import records_of

HEAD: Final = 4096
"""Bytes of a file that are looked at."""

USER_BLOCK: Final = 1 << 20
"""Bytes up to which an HDF5 file is looked for behind a block of the user's own."""

HDF5: Final = b"\x89HDF\r\n\x1a\n"
NODES: Final = ("zarr.json", ".zgroup", ".zarray", ".zmetadata")
"""Files that make a directory a node of a Zarr hierarchy."""

_READ: Final[Mapping[bytes, str]] = {
    b"\x93NUMPY": "npy",
    b"CDF\x01": "netcdf",
    b"CDF\x02": "netcdf",
    b"CDF\x05": "netcdf",
}
_NOT_READ: Final[tuple[tuple[int, bytes, str, str], ...]] = (
    (0, rb"MATLAB 5\.0 MAT-file", "a MATLAB file of before version 7.3", "save it with '-v7.3', or as HDF5"),
    (0, rb"\x0e\x03\x13\x01", "an HDF4 file", "convert it to HDF5 (h4toh5)"),
    (0, rb"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it (zstd -d), and name what comes out"),
    (0, rb"\x04\x22\x4d\x18", "compressed by lz4", "unpack it (lz4 -d), and name what comes out"),
    (0, rb"\x1f\x9d", "compressed by compress", "unpack it (uncompress), and name what comes out"),
    (0, rb"7z\xbc\xaf\x27\x1c|Rar!", "an archive", "unpack it, and name what it holds"),
    (257, rb"ustar", "a tar archive", "unpack it (tar -xf), and name what it holds"),
    (
        0,
        rb"\x80[\x02-\x05][\x8c\x95cC}\]K(]",
        "a pickle",
        "it is never unpickled here; save arrays by numpy.save",
    ),
)
"""Place, pattern, what it is and what to do."""

_NUMBER: Final = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eEdD]?[+-]?\d+)?")
_TEXT: Final = re.compile(rb"[\t\n\r\f\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What a file is. `format` is None if it is none that is read, and `what` says then what it is, and what to do.

    `text`: it is text, which cube files are too, of which some have headers that only their reader knows.
    """

    format: str | None = None
    what: str | None = None
    text: bool = False


def told(path: str) -> Detection:
    """What the content of a file or directory is; nothing if it cannot be looked at."""
    if os.path.isdir(path):
        return (
            Detection(format="zarr")
            if is_node(path)
            else Detection(what="a directory, and no Zarr hierarchy")
        )
    try:
        with ExitStack() as keep:
            return _told(content(path, keep))
    except (QwfError, OSError, EOFError, ValueError):
        return Detection()
    except Exception:  # noqa: BLE001 # a damaged file, of which its own format will tell what is the matter
        return Detection()


def is_node(path: str) -> bool:
    """Whether a directory is a node of a Zarr hierarchy."""
    return any(os.path.isfile(os.path.join(path, name)) for name in NODES)


def zip_roots(archive: zipfile.ZipFile) -> list[str]:
    """The folders in a zip file that are roots of Zarr hierarchies, "" for the zip file itself.

    A file manager puts the name of the directory before all that was in it.
    """
    nodes = {name.rpartition("/")[0] for name in archive.namelist() if name.rpartition("/")[2] in NODES}
    above = {node: [""] * bool(node) + [node[:i] for i, c in enumerate(node) if c == "/"] for node in nodes}
    return sorted(node for node in nodes if not nodes.intersection(above[node]))


def unknown(path: str, found: Detection) -> InvalidInput:
    """That a file is none that is read, what it is, and what can be done."""
    if found.what is not None:
        return InvalidInput(f"{path} is {found.what}")
    return InvalidInput(
        f"{path} is none of npy, npz, HDF5, NetCDF, Zarr and Gaussian cube; if it is numbers and nothing else, "
        f"give their shape and type: {path}:shape=64x64x64,dtype=c16"
    )


def _told(file: IO[bytes]) -> Detection:
    head = file.read(HEAD)
    if not head:
        return Detection(what="an empty file")
    for begins, name in _READ.items():
        if head.startswith(begins):
            return Detection(format=name)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(file)
    place = 0
    while place <= USER_BLOCK:
        file.seek(place)
        if file.read(len(HDF5)) == HDF5:
            return Detection(format="hdf5")
        place = 2 * place or 512
    for begin, pattern, what, advice in _NOT_READ:
        if re.compile(pattern, re.DOTALL).match(head, begin):
            return Detection(what=f"{what}, which is not read: {advice}")
    if _is_cube(head):
        return Detection(format="cube")
    if _TEXT.fullmatch(head):
        return Detection(
            text=True,
            what="text, and no Gaussian cube: make an array of its numbers, as in "
            "numpy.save('psi.npy', numpy.loadtxt(…))",
        )
    # To look for marks is to seek to the end, for which all that is compressed would be unpacked.
    if isinstance(file, FileIO) and (records := records_of(file)) is not None:
        return Detection(what=records.described())
    return Detection()


def _in_zip(file: IO[bytes]) -> Detection:
    with zipfile.ZipFile(file) as archive:
        if zip_roots(archive):
            return Detection(format="zarr")
        names = archive.namelist()
    if any(name.endswith(".npy") for name in names):
        return Detection(format="npz")
    holds = ", ".join(names[:5]) + (", …" if len(names) > 5 else "") or "nothing"
    return Detection(
        what=f"a zip file, neither npz nor Zarr, that holds {holds}: unpack it, and name what it holds"
    )


def _is_cube(head: bytes) -> bool:
    """Whether the third to sixth line are of four numbers or more, of which the first is whole."""
    rows = [line.split() for line in head.split(b"\n")[2:6]]
    return len(rows) == 4 and all(
        len(row) >= 4 and row[0].lstrip(b"+-").isdigit() and all(map(_NUMBER.fullmatch, row)) for row in rows
    )
