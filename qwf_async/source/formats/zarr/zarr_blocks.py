"""Blocks of a Zarr array that are files of a directory, read beside the library: it takes five times as long.

Formats: Zarr core specification 3.1, codec `bytes` and after it at most one of `zstd`, `gzip`
and `blosc`; Zarr storage specification 2, order C, no filters, a compressor of `BOUNDED`. Not
covered: shards, transposed blocks and other chains of codecs; those the library reads, see
`zarr_bounds`.
"""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from io import FileIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ....errors import InvalidInput
from ....optional import first_line, library
from ..block_assembly import BlockIndex, read_blocks
from ..bounded_decoding import BOUNDED, inflate
from ..contiguous import read_contiguous
from ..variable import Slices

OPEN: Final = 64
"""Files of plain numbers that are kept open: to open one takes as long as to read 64 KiB of it."""

CODECS: Final = ("zstd", "gzip", "blosc")
"""Codecs of version 3 that numcodecs has under the same name and unpacks without being told more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZarrBlocks:
    """The files of one array; `name` yields that of a block. `codec` is None if they hold plain numbers."""

    name: Callable[[BlockIndex], str]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    codec: Any
    _files: OrderedDict[BlockIndex, FileIO] = field(default_factory=OrderedDict, repr=False)

    def read(self, slices: Slices) -> NDArray[Any]:
        """A box. Raises InvalidInput if a block is not as long as its numbers, or cannot be unpacked."""
        return read_blocks(self.chunk, self._part, slices)

    def _part(self, place: BlockIndex, within: Slices) -> NDArray[Any]:
        try:
            if self.codec is None:
                file = self._file(place)
                return read_contiguous(file, str(file.name), 0, self.chunk, self.dtype, within)
            with FileIO(self.name(place)) as one:
                packed = one.readall()
        except FileNotFoundError:  # a block of nothing but the fill value need not be stored
            return np.full([one.stop - one.start for one in within], self.fill, self.dtype)
        values = np.frombuffer(self._unpacked(place, packed), np.uint8)
        self._check(place, values.size)
        return values.view(self.dtype).reshape(self.chunk)[within]

    def _unpacked(self, place: BlockIndex, packed: bytes) -> Any:
        try:
            return inflate(self.codec, packed, math.prod(self.chunk) * self.dtype.itemsize)
        except Exception as error:  # a codec may raise anything for a damaged block
            raise InvalidInput(f"{self.name(place)} cannot be unpacked: {first_line(error)}") from error

    def _file(self, place: BlockIndex) -> FileIO:
        if place in self._files:
            self._files.move_to_end(place)
            return self._files[place]
        file = FileIO(self.name(place))
        if len(self._files) == OPEN:
            self._files.popitem(last=False)[1].close()
        self._files[place] = file
        self._check(place, os.fstat(file.fileno()).st_size)
        return file

    def _check(self, place: BlockIndex, size: int) -> None:
        expected = math.prod(self.chunk) * self.dtype.itemsize
        if size != expected:
            raise InvalidInput(
                f"{self.name(place)} holds {size} bytes of numbers, where its array says {expected}"
            )

    def close(self) -> None:
        """Close the files. May be called twice."""
        while self._files:
            self._files.popitem()[1].close()


def zarr_blocks(directory: str, item: Any) -> ZarrBlocks | None:
    """The blocks of an array of the hierarchy in a directory; None if they are none that can be read here."""
    dtype = item.dtype
    found = _codec_2(item.metadata) if item.metadata.zarr_format == 2 else _codec_3(item.metadata)
    if found is None or dtype.kind not in "cfiu" or not dtype.isnative:
        return None
    place = os.path.join(directory, item.path)
    return ZarrBlocks(
        name=lambda block: os.path.join(place, item.metadata.encode_chunk_key(block)),
        chunk=tuple(item.chunks),
        dtype=dtype,
        fill=0 if item.fill_value is None else item.fill_value,
        codec=found[0],
    )


def _codec_2(metadata: Any) -> tuple[Any] | None:
    """The codec of a block, None if it is not packed; nothing at all if it is not to be unpacked here."""
    codec = metadata.compressor
    if metadata.order != "C" or metadata.filters or (codec is not None and codec.codec_id not in BOUNDED):
        return None
    return (codec,)


def _codec_3(metadata: Any) -> tuple[Any] | None:
    """The same for version 3."""
    chain = [codec.to_dict() for codec in metadata.codecs]
    grid = metadata.chunk_grid.to_dict()["name"]
    first = chain[0]
    little = first.get("configuration", {}).get("endian", "little") == "little"
    names = [codec["name"] for codec in chain[1:]]
    if (
        grid != "regular"
        or first["name"] != "bytes"
        or not little
        or len(names) > 1
        or not {*names} <= {*CODECS}
    ):
        return None
    if not names:
        return (None,)
    codecs = library("numcodecs", extra="zarr", what="reading Zarr")
    return (codecs.get_codec({"id": names[0]}),)
