"""What a file is by its content: one of the formats of the table, or something that is known and not read.

Sources of the marks: PKWARE's APPNOTE; RFC 1952 and 8878; MATLAB, "MAT-File Format". Those of
the formats are with the formats.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from typing import Final

from ...errors import InvalidInput, QwfError
from .content import Content
from .format import Format
from .raw.fortran_records import records_of
from .table import FORMATS

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
"""Files that are not read: the first byte of the mark, its pattern, what the file is, and what to do."""

_TEXT: Final = re.compile(rb"[\t\n\r\f\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What a file is. `format` is the name of its format, None if it is none that is read.

    `otherwise` says what such a file is and what to do, as far as that is known. `is_text`: it is
    text, which its ending can make one of a format: some of those have headers that only their
    reader knows.
    """

    format: str | None = None
    otherwise: str | None = None
    is_text: bool = False


def detect(path: str) -> Detection:
    """What a file or directory is by its content; nothing if it cannot be looked at."""
    try:
        with ExitStack() as keep:
            return _detect(Content.of(path, keep))
    except (QwfError, OSError, EOFError, ValueError):
        return Detection()
    except Exception:  # noqa: BLE001 # a damaged file: the reader of its format says what is the matter
        return Detection()


def unreadable_file(path: str, detection: Detection) -> InvalidInput:
    """The error for a file of no known format: what it is, and what can be done."""
    if detection.otherwise is not None:
        return InvalidInput(f"{path} is {detection.otherwise}")
    *labels, last = [format_.label for format_ in FORMATS.values() if format_.recognises is not None]
    return InvalidInput(
        f"{path} is none of {', '.join(labels)} and {last}; if it is numbers and nothing else, "
        f"give their shape and type: {path}:shape=64x64x64,dtype=c16"
    )


def _detect(content: Content) -> Detection:
    if content.file is not None and not content.head:
        return Detection(otherwise="an empty file")
    if (format_ := _recognised(content, is_text=False)) is not None:
        return Detection(format=format_.name)
    if content.file is None:
        return Detection(otherwise="a directory, and no Zarr hierarchy")
    if content.members is not None:
        shown = ", ".join(content.members[:5]) + (", …" if len(content.members) > 5 else "") or "nothing"
        return Detection(
            otherwise=f"a zip file, neither npz nor Zarr, that holds {shown}: unpack it, and name what it holds"
        )
    for begin, pattern, what, advice in _NOT_READ:
        if re.compile(pattern, re.DOTALL).match(content.head, begin):
            return Detection(otherwise=f"{what}, which is not read: {advice}")
    if (format_ := _recognised(content, is_text=True)) is not None:
        return Detection(format=format_.name)
    if _TEXT.fullmatch(content.head):
        return Detection(
            is_text=True,
            otherwise="text, and no Gaussian cube: make an array of its numbers, as in "
            "numpy.save('psi.npy', numpy.loadtxt(…))",
        )
    # Records are found by seeking to the end, for which all that is compressed would be unpacked.
    if isinstance(content.file, FileIO) and (records := records_of(content.file)) is not None:
        return Detection(otherwise=records.described())
    return Detection()


def _recognised(content: Content, *, is_text: bool) -> Format | None:
    """The first format of the table that the content is of, among those of text or the others."""
    return next(
        (
            format_
            for format_ in FORMATS.values()
            if format_.is_text == is_text and format_.recognises is not None and format_.recognises(content)
        ),
        None,
    )
