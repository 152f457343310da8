"""Wavefunctions in files of nothing but numbers, read and written.

Shape and type are stated after the colon: `psi.raw:shape=64x64x64,dtype=c16`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from ....checked import checked
from ....errors import InvalidInput
from ..contiguous import contiguous
from ..format import Format, FormatWriter
from ..open_files import open_files
from ..regular_file import open_regular
from ..variable_source import VariableSource, variable_source
from ..writing import ExportHeader, WriteBox, take_space, write_into
from .fortran_records import MARK_WIDTHS, WithoutMarks, records_of

PARAMETERS: Final = ("shape", "dtype", "order", "offset", "marks")
"""What can be stated of a raw file after the colon."""

DTYPES: Final = ("c16", "c8", "f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")
"""Types of numbers: c complex, f real, i and u integers, and bytes; `>` before them is big-endian, else little."""


@checked
def raw(
    path: str | os.PathLike[str],
    shape: Sequence[int],
    dtype: str = "c16",
    *,
    order: str = "C",
    offset: int = 0,
    marks: int | None = None,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> VariableSource:
    """ψ in a file that holds only its numbers, from byte `offset` on, in C or Fortran order.

    `dtype`: one of DTYPES, with `>` before it if it is big-endian. `marks`: bytes of the
    marks before and after each record, 4 or 8, of an unformatted file of Fortran, see
    `fortran_records`; the offset is then one without the marks. `dims`, `box` and `dt` as for
    `hdf5`; without `dims` as for `npy`. Raises InvalidInput if there is no such file, for another
    type or order, and if the file is shorter or longer than shape and type say. Raises it also
    for marks of records that `marks` does not state (0 states that there are none).
    """
    name = os.fspath(path)
    sizes = tuple(shape)
    if order not in ("C", "F"):
        raise InvalidInput(f"{name}: order={order} is neither C nor F")
    if dtype.removeprefix(">").removeprefix("<") not in DTYPES:
        raise InvalidInput(
            f"{name}: dtype={dtype} is none of {', '.join(DTYPES)}, with > before it if big-endian"
        )
    if not sizes or min(sizes) < 1 or offset < 0:
        raise InvalidInput(f"{name}: sizes must be at least 1, and the offset at least 0")
    if marks not in (None, 0, *MARK_WIDTHS):
        raise InvalidInput(
            f"{name}: marks={marks}: the marks of records have 4 or 8 bytes, or 0 if there are none"
        )
    number = np.dtype(dtype if dtype[0] in "<>" else f"<{dtype}")
    expected = offset + math.prod(sizes) * number.itemsize
    stated = f"shape={'x'.join(map(str, sizes))},dtype={dtype},order={order},offset={offset}"
    stated += "" if marks is None else f",marks={marks}"
    # Numbers can begin with the same bytes as a compressed file.
    as_is = os.path.isfile(name) and os.path.getsize(name) == expected
    with open_files(name, format="raw", as_is=as_is) as opened:
        file = opened.keep.enter_context(open_regular(opened.path))
        length = os.fstat(file.fileno()).st_size
        records = None if marks == 0 else records_of(file, MARK_WIDTHS if marks is None else (marks,))
        if marks is None and records is not None:
            raise InvalidInput(f"{name} is {records.described()}")
        if marks and records is None:
            raise InvalidInput(
                f"{name} does not consist of records with marks of {marks} bytes before and after each"
            )
        if records is not None:
            file, length = opened.keep.enter_context(WithoutMarks(opened.path, records)), records.bytes
        if length != expected:
            raise InvalidInput(
                f"{name} has {length} bytes{' between its marks' if records else ''}, where "
                f"{'×'.join(map(str, sizes))} numbers of {dtype} from byte {offset} on make {expected}"
            )
        part = contiguous(
            name,
            what=name,
            shape=sizes,
            dtype=number,
            offset=offset,
            file=file,
            fortran=order == "F",
            member=stated,
        )
        return variable_source(
            [part],
            spec=f"{name}:{stated}",
            format="raw",
            files=opened.files,
            release=opened.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def raw_text(
    path: str,
    parameters: str,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> VariableSource:
    """`raw` with its arguments from a text. Raises InvalidInput if the text cannot be read.

    An example is "shape=64x64x64,dtype=c16,order=C,offset=0,marks=4".
    """
    given: dict[str, str] = {}
    for word in filter(None, parameters.split(",")):
        key, _, value = word.partition("=")
        if key not in PARAMETERS or key in given:
            raise InvalidInput(f"{path}: {word!r}: a raw file has {', '.join(PARAMETERS)}, each at most once")
        given[key] = value
    if "shape" not in given:
        raise InvalidInput(f"{path} is raw: give its shape, as in {path}:shape=64x64x64,dtype=c16")
    try:
        shape = [int(word) for word in given["shape"].split("x")]
        offset = int(given.get("offset", "0"))
        marks = int(given["marks"]) if "marks" in given else None
    except ValueError as error:
        raise InvalidInput(
            f"{path}:{parameters} cannot be read: shape=64x64x64,offset=0,marks=4 are whole numbers"
        ) from error
    return raw(
        path,
        shape,
        given.get("dtype", "c16"),
        order=given.get("order", "C"),
        offset=offset,
        marks=marks,
        dims=dims,
        box=box,
        dt=dt,
    )


@contextmanager
def _write(paths: Sequence[Path], header: ExportHeader) -> Iterator[WriteBox]:
    """A new file of ψ[t, x, y, z] in C order, little-endian. Raises OSError if there is no room for it."""
    (path,) = paths
    array: np.memmap[Any, Any] = np.memmap(
        path, header.dtype.newbyteorder("<"), "w+", shape=header.grid.shape
    )
    take_space(path)
    with write_into(array) as write:
        yield write


def _read(path: str, parameters: str | None, **options: Any) -> VariableSource:
    return raw_text(path, parameters or "", **options)


RAW: Final = Format(
    name="raw",
    label="raw numbers",
    endings=(".raw", ".bin"),
    parameters=PARAMETERS,
    read=_read,
    writer=FormatWriter(endings=(".raw", ".bin"), open=_write),
)
