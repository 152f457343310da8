"""Unformatted files of Fortran: numbers between the marks of their records."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import FortranFile

from qwf_async.errors import InvalidInput
from qwf_async.lattice.plan import BoxPlan
from qwf_async.source import open_source, raw
from tests.source.written_files import whole
from tests.support.loads import wave

Array = NDArray[Any]
PSI = wave(3, 4, 5, 6)


def one_record(path: Path, psi: Array) -> None:
    with FortranFile(path, "w") as file:
        file.write_record(psi)


def a_record_a_frame(path: Path, psi: Array) -> None:
    with FortranFile(path, "w") as file:
        for frame in psi:
            file.write_record(frame)


def unequal_records(path: Path, psi: Array) -> None:
    data = psi.tobytes()
    with FortranFile(path, "w") as file:
        for begin, end in ((0, 8), (8, 9), (9, 9), (9, 4000), (4000, len(data))):
            file.write_record(np.frombuffer(data[begin:end], np.uint8))


def in_parts(path: Path, psi: Array) -> None:
    """One record in three parts, as one of more than 2 GiB is written."""
    data = psi.tobytes()
    parts = [data[:1000], data[1000:1500], data[1500:]]
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            before = -len(part) if number < 2 else len(part)
            after = -len(part) if number > 0 else len(part)
            file.write(struct.pack("<i", before) + part + struct.pack("<i", after))


MAKERS: Sequence[Callable[[Path, Array], None]] = (one_record, a_record_a_frame, unequal_records, in_parts)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["psi.raw", "psi.dat", "psi"])
def test_numbers_between_marks_are_read(
    tmp_path: Path, make: Callable[[Path, Array], None], name: str
) -> None:
    make(tmp_path / name, PSI)
    with closing(open_source(f"{tmp_path}/{name}:shape=3x4x5x6,dtype=c16,marks=4")) as source:
        for chunk in BoxPlan.cut(PSI.shape, order=source.order, points=37):
            np.testing.assert_array_equal(source.read(chunk.box), PSI[chunk.box.slices])
    make(tmp_path / name, PSI.transpose(3, 2, 1, 0))
    with closing(open_source(f"{tmp_path}/{name}:shape=3x4x5x6,order=F,marks=4")) as source:
        assert source.order == "F"
        np.testing.assert_array_equal(whole(source), PSI)


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_marks_of_either_width_and_byte_order_are_told(tmp_path: Path, width: int, endian: str) -> None:
    path = tmp_path / "psi.raw"
    mark = np.array([PSI.nbytes], f"{endian}i{width}").tobytes()
    path.write_bytes(mark + PSI.astype(f"{endian}c16").tobytes() + mark)
    with closing(raw(path, PSI.shape, f"{endian}c16", marks=width)) as source:
        np.testing.assert_array_equal(whole(source), PSI)
    with pytest.raises(InvalidInput, match=f"unformatted file of Fortran, one record .* marks={width}"):
        raw(path, PSI.shape, f"{endian}c16")
    with pytest.raises(InvalidInput, match=rf"does not consist of records with marks of {12 - width} bytes"):
        raw(path, PSI.shape, f"{endian}c16", marks=12 - width)


def test_marks_are_never_taken_for_numbers(tmp_path: Path) -> None:
    """Of a shape and an offset that make the length of the file all would be shifted by four bytes."""
    one_record(tmp_path / "psi.raw", PSI)
    for told in ("shape=3x4x5x6", "shape=3x4x5x6,offset=4", "shape=3x4x5x6,offset=8", "shape=722,dtype=f8"):
        with pytest.raises(InvalidInput, match=r"between record marks of 4 bytes: .*marks=4"):
            open_source(f"{tmp_path}/psi.raw:{told}")
    with closing(open_source(f"{tmp_path}/psi.raw:shape=360,offset=8,marks=0")) as source:
        assert source.grid.points == 360


def test_an_offset_counts_what_is_between_the_marks(tmp_path: Path) -> None:
    with FortranFile(tmp_path / "psi.raw", "w") as file:
        file.write_record(np.array(PSI.shape, np.int32))
        file.write_record(PSI)
    with closing(open_source(f"{tmp_path}/psi.raw:shape=3x4x5x6,offset=16,marks=4")) as source:
        np.testing.assert_array_equal(whole(source), PSI)
    with pytest.raises(
        InvalidInput, match=r"has 5776 bytes between its marks, where 3×4×5×6 numbers of c16 from byte 0"
    ):
        open_source(f"{tmp_path}/psi.raw:shape=3x4x5x6,marks=4")


def test_marks_that_lie_are_refused(tmp_path: Path) -> None:
    one_record(tmp_path / "psi.raw", PSI)
    data = (tmp_path / "psi.raw").read_bytes()
    for content in (
        data[:-1],
        data[:-4],
        data + b"\0",
        data[:-4] + b"\1\0\0\0",
        b"\xff\xff\xff\x7f" + data[4:],
    ):
        (tmp_path / "psi.raw").write_bytes(content)
        with pytest.raises(InvalidInput, match="does not consist of records"):
            open_source(f"{tmp_path}/psi.raw:shape=3x4x5x6,marks=4")
    with pytest.raises(InvalidInput, match="marks=3: the marks of records have 4 or 8 bytes"):
        open_source(f"{tmp_path}/psi.raw:shape=3x4x5x6,marks=3")
