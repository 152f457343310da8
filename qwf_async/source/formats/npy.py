"""Wavefunctions in NumPy's `.npy` files, read and written a piece at a time.

Format: NumPy Enhancement Proposal 1, versions 1.0 to 3.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO, FileIO
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy_format

from ...checked import checked
from ...errors import InvalidInput
from ...optional import first_line
from .content import Content
from .contiguous import check_length, contiguous
from .decompression import STANDARD_INPUT
from .format import Format, FormatWriter
from .open_files import open_files
from .regular_file import open_regular
from .variable_source import VariableSource, variable_source
from .writing import ExportHeader, WriteBox, take_space, write_into

MAX_HEADER_BYTES: Final = 10_000
"""Bytes that a header may claim; that of an array of numbers has a hundred or two. The bound is numpy's own."""


@checked
def npy(
    path: str | os.PathLike[str],
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> VariableSource:
    """A `.npy` file of ψ[x], ψ[x, y], ψ[x, y, z] or ψ[t, x, y, z], complex or real.

    C or Fortran order, any byte order. Records of two real fields (r and i, re and im, real
    and imag) are complex. float32 is stored as complex64, other reals as complex128. `dims`:
    which dimension is which axis, "x,y,z,t", with "c" for one of re and im. `box`: extent of
    each axis in bohr, centred on 0, and `dt`: time step in ħ/Eh; unknown unless given. The
    file is open until `close`. The path "-" is standard input, which is kept in a temporary
    file as it may be read more than once.
    Raises InvalidInput if there is no such file, or if it is not one array in this format and
    of its full length. Also for values of another type, and for a dimension of two that may be
    re and im or two points. Objects are never unpickled.
    """
    name = os.fspath(path)
    what = "standard input" if name == STANDARD_INPUT else name
    with open_files(name, format="npy") as opened:
        file = opened.keep.enter_context(open_regular(opened.path))
        shape, fortran, dtype = read_header(file, what)
        begin = file.tell()
        check_length(what, os.fstat(file.fileno()).st_size, begin, shape, dtype)
        file.seek(0)
        part = contiguous(
            name,
            what=what,
            shape=shape,
            dtype=dtype,
            offset=begin,
            file=file,
            fortran=fortran,
            member=sha256(file.read(begin)).hexdigest()[:16],
        )
        return variable_source(
            [part],
            spec=name,
            format="npy",
            files=opened.files,
            release=opened.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def read_header(file: IO[bytes] | FileIO, what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and type, from the position where a `.npy` file begins.

    A length that no header has is refused before so many bytes are read. Raises InvalidInput,
    naming `what`.
    """
    begins = file.read(npy_format.MAGIC_LEN)
    if begins[:-2] != npy_format.MAGIC_PREFIX:
        fault = f"it begins with {begins[:-2]!r}" if begins else "it is empty"
        raise InvalidInput(f"{what} is not a .npy file: {fault}")
    version = (begins[-2], begins[-1]) if len(begins) == npy_format.MAGIC_LEN else (0, 0)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise InvalidInput(
            f"{what} is not a .npy file of version 1, 2 or 3: it says version {version[0]}.{version[1]}"
        )
    counted = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(counted, "little")
    if length > MAX_HEADER_BYTES:
        raise InvalidInput(
            f"{what} has a damaged .npy header: it claims {length} bytes, where that of an array of numbers has a "
            "hundred or two"
        )
    # Version 3 differs from 2 only in the names of a structured type, which can be beyond Latin-1.
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    try:
        return read(BytesIO(counted + file.read(length)))
    except Exception as error:  # a damaged header can raise nearly anything out of ast
        raise InvalidInput(f"{what} has a damaged .npy header: {first_line(error)}") from error


def new_npy(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.memmap[Any, Any]:
    """A new `.npy` file as an array to be filled. Raises OSError if there is no room for it."""
    array: np.memmap[Any, Any] = npy_format.open_memmap(path, "w+", dtype, shape)
    take_space(path)
    return array


@contextmanager
def _write(paths: Sequence[Path], header: ExportHeader) -> Iterator[WriteBox]:
    """A new file of ψ[t, x, y, z] in C order. Raises OSError if there is no room for it."""
    (path,) = paths
    with write_into(new_npy(path, header.grid.shape, header.dtype)) as write:
        yield write


def _read(path: str, _: str | None, **options: Any) -> VariableSource:
    return npy(path, **options)


def _recognises(content: Content) -> bool:
    return content.head.startswith(npy_format.MAGIC_PREFIX)


NPY: Final = Format(
    name="npy",
    label="npy",
    endings=(".npy",),
    recognises=_recognises,
    has_members=False,
    read=_read,
    writer=FormatWriter(endings=(".npy",), open=_write),
)
