"""Wavefunctions in HDF5 files, and in NetCDF-4 files, which are HDF5 files too.

Formats: HDF5 File Format Specification 3.0 (read by h5py); dimension scales by "HDF5
Dimension Scale Specification" 1.0; NetCDF-4 by "NetCDF-4 File Format", appendix of the NetCDF
User's Guide. A coordinate is a scale of a dimension, with its unit in the attribute `units`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from io import FileIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...arguments import checked
from ..foreign import library
from .beside import SPELLINGS, arrays_beside, axes_among
from .blocks import Place, read_blocks
from .contiguous import opened, read_lying
from .field import Field, field_of, holds_complex
from .hdf5_links import Reach, data_sets, follow
from .hdf5_origin import Origin
from .hdf5_virtual import VirtualReader
from .members import chosen
from .opening import Opening, opening, spec_of
from .packing import Packing, packing_of
from .variable import Beside, Coordinate, Slices, Variable, coordinate_of

NOT_A_VARIABLE: Final = b"This is a netCDF dimension but not a netCDF variable"
"""What the name of a NetCDF dimension without coordinates begins with. Source: netcdf-c, `nc4internal.h`."""

NETCDF_FILE: Final = "_NCProperties"
"""Attribute of the root group by which a file is NetCDF-4, since version 4.4.1. Source: netcdf-c, `nc4internal.h`."""

NETCDF_DIMENSION: Final = "_Netcdf4Dimid"
"""Attribute of the dimension scales of NetCDF-4 files of any version. Source: as above."""

PLAIN_BYTES: Final = 32 * 1024
"""Bytes of a block from which on it is read beside the library, which is quick with many small ones."""


@checked
def hdf5(
    path: str | os.PathLike[str],
    member: str | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> Field:
    """ψ in an HDF5 or NetCDF-4 file: a data set of complex or real numbers, or a pair of them.

    `member`: path of the data set within the file; of a group that holds one, or a pair named
    re and im or real and imag; or two paths with a comma, "re,im". Not needed if it is the
    only one. Complex is a compound {r, i}, {re, im} or {real, imag}, or a first or last
    dimension of two. `dims`: which dimension is which axis, by default by the names of the
    dimension scales, or as for `npy`. Axes are those of evenly spaced scales with known
    units, or data sets t, x, y, z beside, see `beside`; `box` (bohr) and `dt` (ħ/Eh) go before
    them. The file is open until `close`.
    Raises InvalidInput if the file, the data set or a scale cannot be used; UsageError if
    h5py is missing.
    """
    name = os.fspath(path)
    h5py = library("h5py", extra="files", what="reading HDF5")
    with opening(name, format="HDF5") as found:
        # Blocks are read whole and once: the library need keep none of them.
        # What has no name the library reads through Python only: it asks for the real path of a path.
        place = name if found.path == name else found.keep.enter_context(opened(found.path))
        file = found.keep.enter_context(h5py.File(place, "r", rdcc_nbytes=0))
        reach = found.keep.enter_context(
            closing(Reach(h5py=h5py, files=found.files, alone=found.path != name))
        )
        sets = data_sets(reach, file, name, member)
        lost = None in sets.values()  # nobody knows what is behind a link that leads nowhere
        axes = axes_among({key: (item.shape, item.dtype) for key, item in sets.items() if item is not None})
        names = chosen(list(sets), member, name, lambda one: not lost and _is_complex(sets[one]), axes=axes)
        items = [follow(reach, file, one, name) for one in names]
        return field_of(
            [_variable(h5py, found, name, item, one) for item, one in zip(items, names, strict=True)],
            spec=spec_of(name, member),
            format="HDF5",
            files=found.files,
            release=found.keep.close,
            dims=dims,
            box=box,
            dt=dt,
        )


def _variable(h5py: Any, found: Opening, path: str, item: Any, member: str) -> Variable:
    what = f"{path}:/{member}"
    scales = [_scale(dimension) for dimension in item.dims]
    alone = found.path != path
    with closing(Reach(h5py=h5py, files=found.files, alone=alone)) as reach:
        origin = Origin(reach=reach)
        pieces = origin.look(item, what)
        coordinates = {
            place: _coordinate(h5py, origin, scale, f"{path}:{scale.name}")
            for place, scale in enumerate(scales)
            if scale is not None and not _stands_for_dimension(scale)
        }
    read: Callable[[Slices], NDArray[Any]]
    if pieces:
        read, parted = VirtualReader.of(h5py, what, item, pieces).read, False
    else:
        raw = found.keep.enter_context(opened(found.path if alone else item.file.filename))
        read, parted = _reader(h5py, path, item, raw)
    return Variable(
        what=what,
        shape=item.shape,
        dtype=item.dtype,
        read=read,
        names=_names(item),
        packing=packing_in_hdf5(item, what),
        chunk=pieces[0].chunk if pieces else item.chunks,
        parted=parted,
        coordinates=coordinates,
        beside=_beside(h5py, found, path, item),
        member=member,
    )


def _names(item: Any) -> tuple[str | None, ...]:
    """The names of its dimensions: their labels, or the names of their scales."""
    scales = ((dimension.label, _scale(dimension)) for dimension in item.dims)
    return tuple(
        label or (scale.name.rpartition("/")[2] if scale is not None else None) for label, scale in scales
    )


def _is_complex(item: Any) -> bool:
    return holds_complex(item.dtype, _names(item), item.shape)


def _coordinate(h5py: Any, origin: Origin, item: Any, what: str) -> Coordinate:
    return coordinate_of(_all_of(h5py, origin, item, what), item.attrs, packing_in_hdf5(item, what))


def _all_of(h5py: Any, origin: Origin, item: Any, what: str) -> NDArray[Any]:
    """All values of a data set that is no ψ."""
    if not (pieces := origin.look(item, what)):
        return np.asarray(item[...])
    return VirtualReader.of(h5py, what, item, pieces).read(tuple(slice(0, n) for n in item.shape))


def _beside(h5py: Any, found: Opening, path: str, item: Any) -> list[Beside]:
    """The data sets in its group, and in those above, that may be axes of a data set."""
    sets: dict[str, Any] = {}
    group = item
    while group.name != "/":
        group = group.parent
        for name in SPELLINGS:
            if isinstance(group.get(name, getlink=True), h5py.HardLink | h5py.SoftLink):
                one = group.get(name)
                if isinstance(one, h5py.Dataset) and _can_be_axis(h5py, one):
                    sets[f"{group.name}/{name}".lstrip("/")] = one

    def read(name: str) -> Coordinate:
        with closing(Reach(h5py=h5py, files=found.files, alone=found.path != path)) as reach:
            return _coordinate(h5py, Origin(reach=reach), sets[name], f"{path}:/{name}")

    lengths = {name: one.shape[0] for name, one in sets.items()}
    return arrays_beside(item.name.lstrip("/"), lengths, root=f"{path}:/", read=read)


def _can_be_axis(h5py: Any, item: Any) -> bool:
    """Whether it holds real numbers along one dimension, and not only stands for a dimension of NetCDF."""
    real = item.id.get_type().get_class() in (h5py.h5t.INTEGER, h5py.h5t.FLOAT)
    return real and item.ndim == 1 and not _stands_for_dimension(item)


def _stands_for_dimension(scale: Any) -> bool:
    return bytes(scale.attrs.get("NAME", b"")).startswith(NOT_A_VARIABLE)


def _reader(h5py: Any, path: str, item: Any, raw: FileIO) -> tuple[Callable[[Slices], NDArray[Any]], bool]:
    """How to read it, and whether parts of its blocks can be read alone.

    What no filter has packed is read beside the library, whose hyperslabs take as long again.
    """
    dtype, chunk = _in_file(h5py, item), item.chunks
    if dtype is not None and chunk is None and item.id.get_offset() is not None and not item.external:
        return partial(read_lying, raw, path, item.id.get_offset(), item.shape, dtype), False
    if dtype is None or chunk is None or math.prod(chunk) * dtype.itemsize < PLAIN_BYTES:
        return item.__getitem__, False
    begins = _begins(item, math.prod(chunk) * dtype.itemsize)
    if begins is None:
        return item.__getitem__, False

    def part(place: Place, within: Slices) -> NDArray[Any]:
        begin = int(begins[place])
        if begin < 0:  # never written, or packed without gain: the library knows
            corner = tuple(n * size for n, size in zip(place, chunk, strict=True))
            values: NDArray[Any] = item[
                tuple(slice(n + one.start, n + one.stop) for n, one in zip(corner, within, strict=True))
            ]
            return values
        return read_lying(raw, path, begin, chunk, dtype, within)

    return partial(read_blocks, chunk, part), True


def _begins(item: Any, size: int) -> NDArray[np.int64] | None:
    """The byte at which each block begins, or -1, in a file whose blocks all have the `size` bytes of their numbers.

    lzf leaves as it is what it cannot shrink. None if there are blocks of another size.
    """
    if item.id.get_storage_size() != item.id.get_num_chunks() * size:
        return None
    skipped = (1 << item.id.get_create_plist().get_nfilters()) - 1
    begins = np.full([-(-n // c) for n, c in zip(item.shape, item.chunks, strict=True)], -1, np.int64)

    def note(block: Any) -> None:
        if block.filter_mask == skipped:
            place = tuple(a // c for a, c in zip(block.chunk_offset, item.chunks, strict=True))
            begins[place] = block.byte_offset

    item.id.chunk_iter(note)  # to ask for one block takes as long as to ask for all
    return begins


def _in_file(h5py: Any, item: Any) -> np.dtype[Any] | None:
    """The type if the bytes in the file are those of a numpy array of it."""
    dtype: np.dtype[Any] = item.dtype
    same = dtype.kind in "cfiu" and item.id.get_type().equal(h5py.h5t.py_create(dtype, logical=True))
    return dtype if same else None


def packing_in_hdf5(item: Any, what: str) -> Packing | None:
    """The packing of a data set, `what` in messages: by its attributes, and NetCDF's defaults if that wrote it."""
    scales = (_scale(dimension) for dimension in item.dims)
    netcdf = NETCDF_FILE in item.file.attrs or any(
        NETCDF_DIMENSION in one.attrs for one in (item, *scales) if one is not None
    )
    return packing_of(item.dtype, item.attrs, what=what, netcdf=netcdf)


def _scale(dimension: Any) -> Any:
    """The first scale of a dimension, if it has one."""
    return dimension[0] if len(dimension) else None
