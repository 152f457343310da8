"""Wavefunctions in `.npz` files: zip archives of `.npy` arrays.

Format: numpy.savez; zip by PKWARE's APPNOTE 6.3. A stored member (savez) is read like a `.npy`
file; a compressed one (savez_compressed) see `compressed_member`.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from io import FileIO
from typing import IO, Any, Final

import numpy as np

from ....checked import checked
from ....errors import InvalidInput
from ..axis_arrays import axes_among, can_be_axis, letter_of, nearest_axis_arrays
from ..complex_values import holds_complex
from ..content import Content
from ..contiguous import check_length, contiguous
from ..coordinate import Coordinate
from ..format import Format
from ..member_choice import choose_members
from ..npy import read_header
from ..open_files import open_files, spec_of
from ..regular_file import open_regular
from ..variable import Variable
from ..variable_source import VariableSource, variable_source
from ..zarr.zarr_nodes import zip_roots
from .compressed_member import CompressedMember, run_of

LOCAL_HEADER_BYTES: Final = 30
"""Bytes of a local file header before the name. Source: APPNOTE 4.3.7."""

MAX_RATIO: Final = 1032
"""Bytes that one byte packed by deflate can become. Source: zlib's technical details."""


@checked
def npz(
    path: str | os.PathLike[str],
    member: str | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> VariableSource:
    """ψ in a `.npz` file: the member of that name, the only one, or a pair "re,im".

    Members t, x, y, z of one dimension are its axes, see `axis_arrays`. `dims`, `box` and `dt` as
    for `hdf5`. Raises InvalidInput if there is no such file or member, or if it is damaged,
    encrypted or no array of numbers. Objects are never unpickled. When read, InvalidInput also
    for a compressed member that would have to be unpacked more than a few times.
    """
    name = os.fspath(path)
    with open_files(name, format="npz") as opened:
        archive = opened.keep.enter_context(zipfile.ZipFile(opened.path))
        infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays = {key: info for key, info in infos.items() if info.filename.endswith(".npy")}
        file = opened.keep.enter_context(open_regular(opened.path))
        header = partial(_header, archive, arrays)
        headers = {key: header(key) for key in arrays} if any(map(letter_of, arrays)) else {}
        axes = axes_among(headers)
        names = choose_members(list(arrays), member, name, lambda key: _is_complex(*header(key)), axes=axes)

        def read_axis(key: str) -> Coordinate:
            values = _variable(name, archive, arrays[key], key, file, opened.keep)
            return Coordinate(values=values.read(tuple(slice(0, n) for n in values.shape)).reshape(-1))

        lengths = {
            key: math.prod(shape) for key, (shape, dtype) in headers.items() if can_be_axis(key, shape, dtype)
        }
        parts = [_variable(name, archive, arrays[key], key, file, opened.keep) for key in names]
        return variable_source(
            [
                replace(
                    part,
                    axis_arrays=nearest_axis_arrays(part.member, lengths, root=f"{name}:", read=read_axis),
                )
                for part in parts
            ],
            spec=spec_of(name, member),
            format="npz",
            files=opened.files,
            release=opened.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def _header(
    archive: zipfile.ZipFile, arrays: Mapping[str, zipfile.ZipInfo], key: str
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of a member; a member that cannot be read has no dimension."""
    try:
        with _open_member(archive, arrays[key], key) as stream:
            shape, _, dtype = read_header(stream, key)
    except Exception:  # noqa: BLE001 # a damaged member can raise anything; a user who names it learns why
        return (), np.dtype(np.void)
    return shape, dtype


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> IO[bytes]:
    """A member from its beginning. Raises InvalidInput for one that zipfile would unpack without a bound.

    When 128 bytes of a header were asked for, zipfile unpacked 617 bytes of bzip2 to a gigabyte.
    """
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InvalidInput(
            f"{what} is packed in another way than by numpy.savez_compressed: unpack it, and save it anew"
        )
    return archive.open(info)


def _is_complex(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    return bool(shape) and holds_complex(dtype, (None,) * len(shape), shape)


def _variable(
    path: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo, member: str, file: FileIO, keep: ExitStack
) -> Variable:
    what = f"{path}:{member}"
    with _open_member(archive, info, what) as stream:
        shape, fortran, dtype = read_header(stream, what)
        begin = stream.tell()
    check_length(what, info.file_size, begin, shape, dtype)
    _check_claim(what, info, os.fstat(file.fileno()).st_size)
    if info.compress_type == zipfile.ZIP_STORED:
        offset = _data_offset(file, info) + begin
        return contiguous(
            path,
            what=what,
            shape=shape,
            dtype=dtype,
            offset=offset,
            file=file,
            fortran=fortran,
            member=member,
        )
    # [x, y, z] in Fortran order has the bytes of [z, y, x] in C order.
    stored_shape = shape[::-1] if fortran else shape
    values = CompressedMember(
        archive=archive, info=info, what=what, shape=stored_shape, dtype=dtype, begin=begin
    )
    keep.callback(values.close)
    chunk = run_of(stored_shape, dtype.itemsize)
    return Variable(
        what=what,
        shape=shape,
        dtype=dtype,
        read=(lambda slices: values.read(slices[::-1]).T) if fortran else values.read,
        names=(None,) * len(shape),
        chunk=chunk[::-1] if fortran else chunk,
        member=member,
    )


def _check_claim(what: str, info: zipfile.ZipInfo, length: int) -> None:
    """Raises InvalidInput if a member claims more bytes than its bytes in the archive can become."""
    ratio = 1 if info.compress_type == zipfile.ZIP_STORED else MAX_RATIO
    if info.header_offset + info.compress_size > length or info.file_size > ratio * (info.compress_size + 1):
        raise InvalidInput(
            f"{what} is damaged: it claims {info.file_size} bytes in {info.compress_size} of an archive of {length}"
        )


def _data_offset(file: FileIO, info: zipfile.ZipInfo) -> int:
    """The first byte of a stored member in the archive: its local header has a length of its own."""
    file.seek(info.header_offset)
    header = file.read(LOCAL_HEADER_BYTES)
    name, extra = struct.unpack("<HH", header[26:30])
    return int(info.header_offset + LOCAL_HEADER_BYTES + name + extra)


def _recognises(content: Content) -> bool:
    """Whether a zip file holds `.npy` members, and is no Zarr hierarchy, which could hold them too."""
    names = content.members or ()
    return any(name.endswith(".npy") for name in names) and not zip_roots(names)


NPZ: Final = Format(name="npz", label="npz", endings=(".npz",), recognises=_recognises, read=npz)
