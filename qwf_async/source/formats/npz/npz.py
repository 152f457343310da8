"""Wavefunctions in `.npz` files: zip archives of `.npy` arrays.

Format: numpy.savez; zip by PKWARE's APPNOTE 6.3. A member that is stored (savez) is read
as a `.npy` file is; one that is compressed (savez_compressed) is unpacked in order, a piece
at a time, and once more from its beginning for each pass.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from io import FileIO
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from ....checked import checked
from ....errors import InvalidInput
from ..axis_arrays import axes_among, can_be_axis, letter_of, nearest_axis_arrays
from ..contiguous import check_length, contiguous, opened
from ..member_choice import choose_members
from ..npy import read_header
from ..open_files import open_files, spec_of
from ..variable import Coordinate, Slices, Variable
from ..variable_source import VariableSource, holds_complex, variable_source

LOCAL_HEADER: Final = 30
"""Bytes of a local file header before its name. Source: APPNOTE 4.3.7."""

RUN_BYTES: Final = 1 << 20
"""Bytes that are unpacked at a time."""

DEFLATE_RATIO: Final = 1032
"""Bytes that one packed by deflate can become, at most. Source: zlib's technical details."""

PASSES: Final = 8
"""Times that a member is unpacked from its beginning: an ingest, its verification, a few resumptions."""


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

    Members t, x, y, z of one dimension are its axes, see `beside`. `dims`, `box` and `dt` as for
    `hdf5`. Raises InvalidInput if there is no such file or
    member, or if it is damaged, encrypted or no array of numbers. Objects are never
    unpickled. When read, InvalidInput also for a compressed member that would have to be
    unpacked more than a few times.
    """
    name = os.fspath(path)
    with open_files(name, format="npz") as found:
        archive = found.keep.enter_context(zipfile.ZipFile(found.path))
        infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        arrays = {key: info for key, info in infos.items() if info.filename.endswith(".npy")}
        file = found.keep.enter_context(opened(found.path))
        header = partial(_header, archive, arrays)
        headers = {key: header(key) for key in arrays} if any(map(letter_of, arrays)) else {}
        axes = axes_among(headers)
        names = choose_members(list(arrays), member, name, lambda one: _is_complex(*header(one)), axes=axes)

        def coordinate(key: str) -> Coordinate:
            values = _variable(name, archive, arrays[key], key, file, found.keep)
            return Coordinate(values=values.read(tuple(slice(0, n) for n in values.shape)).reshape(-1))

        beside = {
            key: math.prod(shape) for key, (shape, dtype) in headers.items() if can_be_axis(key, shape, dtype)
        }
        parts = [_variable(name, archive, arrays[one], one, file, found.keep) for one in names]
        return variable_source(
            [
                replace(
                    part, beside=nearest_axis_arrays(part.member, beside, root=f"{name}:", read=coordinate)
                )
                for part in parts
            ],
            spec=spec_of(name, member),
            format="npz",
            files=found.files,
            release=found.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def _header(
    archive: zipfile.ZipFile, arrays: Mapping[str, zipfile.ZipInfo], key: str
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of a member; one that cannot be read has no dimension."""
    try:
        with _opened(archive, arrays[key], key) as stream:
            shape, _, dtype = read_header(stream, key)
    except Exception:  # noqa: BLE001 # as a damaged member can raise; whoever names it is told why
        return (), np.dtype(np.void)
    return shape, dtype


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> IO[bytes]:
    """A member from its beginning. Raises InvalidInput for one that zipfile would unpack without a bound.

    617 bytes of bzip2 became a gigabyte when a header of 128 bytes was asked for.
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
    with _opened(archive, info, what) as stream:
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
    lying = shape[::-1] if fortran else shape
    rows = CompressedMember(archive=archive, info=info, what=what, shape=lying, dtype=dtype, begin=begin)
    keep.callback(rows.close)
    chunk = _run(lying, dtype.itemsize)
    return Variable(
        what=what,
        shape=shape,
        dtype=dtype,
        read=(lambda slices: rows.read(slices[::-1]).T) if fortran else rows.read,
        names=(None,) * len(shape),
        chunk=chunk[::-1] if fortran else chunk,
        member=member,
    )


def _run(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """A block of an array in C order that lies in one piece, of RUN_BYTES at most."""
    room, run = max(1, RUN_BYTES // itemsize), [1] * len(shape)
    for axis in range(len(shape) - 1, -1, -1):
        run[axis] = min(shape[axis], room)
        room //= shape[axis]
        if room < 1:
            break
    return tuple(run)


def _check_claim(what: str, info: zipfile.ZipInfo, length: int) -> None:
    """Raises InvalidInput if a member claims more bytes than those that it has in the archive can become."""
    most = 1 if info.compress_type == zipfile.ZIP_STORED else DEFLATE_RATIO
    if info.header_offset + info.compress_size > length or info.file_size > most * (info.compress_size + 1):
        raise InvalidInput(
            f"{what} is damaged: it claims {info.file_size} bytes in {info.compress_size} of an archive of {length}"
        )


def _data_offset(file: FileIO, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: its local header has a length of its own."""
    file.seek(info.header_offset)
    header = file.read(LOCAL_HEADER)
    name, extra = struct.unpack("<HH", header[26:30])
    return int(info.header_offset + LOCAL_HEADER + name + extra)


@dataclass(slots=True, kw_only=True)
class CompressedMember:
    """A compressed member of an array in C order, unpacked from its beginning on as far as it is asked for."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    what: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    begin: int
    _stream: Any = field(default=None, repr=False)
    _place: int = 0
    _passes: int = 0

    def read(self, slices: Slices) -> NDArray[Any]:
        """A block. Raises InvalidInput if that means to unpack the member from its beginning too often."""
        sizes = tuple(one.stop - one.start for one in slices)
        axis = next((axis for axis, size in enumerate(sizes) if size > 1), len(sizes) - 1)
        if sizes[axis + 1 :] != self.shape[axis + 1 :]:  # it lies in pieces
            before, along, after = slices[:axis], slices[axis], slices[axis + 1 :]
            pieces = [self.read((*before, slice(i, i + 1), *after)) for i in range(along.start, along.stop)]
            return np.concatenate(pieces, axis)
        first = 0
        for one, size in zip(slices, self.shape, strict=True):
            first = first * size + one.start
        place = self.begin + first * self.dtype.itemsize
        if self._stream is None or place < self._place:
            self._rewind()
        while self._place < place:
            self._take(min(place - self._place, RUN_BYTES))
        return np.frombuffer(self._take(math.prod(sizes) * self.dtype.itemsize), self.dtype).reshape(sizes)

    def close(self) -> None:
        """Close what it is unpacked from: the archive stays open as long as that is. May be called twice."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _rewind(self) -> None:
        self._passes += 1
        if self._passes > PASSES:
            raise InvalidInput(
                f"{self.what} is compressed, and asked for out of its order: unpack it first (numpy.savez)"
            )
        self.close()
        self._stream, self._place = self.archive.open(self.info), 0

    def _take(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        if len(data) != size:
            raise InvalidInput(f"{self.what} is cut short")
        self._place += size
        return data
