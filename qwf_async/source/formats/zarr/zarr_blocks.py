"""Blocks of a Zarr array that are files of a directory, read without the library, which takes five times as long.

Formats: Zarr core specification 3.1, codec `bytes` and after it at most one of `zstd`, `gzip`
and `blosc`; Zarr storage specification 2, order C, no filters, a compressor of `BOUNDED`. Not
covered: shards, transposed blocks and other chains of codecs. The library reads those, see
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

MAX_OPEN_BLOCKS: Final = 64
"""Files of plain numbers that are kept open: opening one takes as long as reading 64 KiB of it."""

KNOWN_CODECS: Final = ("zstd", "gzip", "blosc")
"""Codecs of version 3 that numcodecs has by the same name and that need no settings to unpack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZarrBlocks:
    """The files of one array.

    `name` yields the path of a block's file, `fill` is the value of what was never written. `codec`
    is None if the files hold plain numbers.
    """

    name: Callable[[BlockIndex], str]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    codec: Any
    _files: OrderedDict[BlockIndex, FileIO] = field(default_factory=OrderedDict, repr=False)

    def read(self, slices: Slices) -> NDArray[Any]:
        """A box. Raises InvalidInput if a block is not as long as its numbers, or cannot be unpacked."""
        return read_blocks(self.chunk, self._part, slices)

    def _part(self, index: BlockIndex, within: Slices) -> NDArray[Any]:
        """A part of one block."""
        try:
            if self.codec is None:
                file = self._file(index)
                return read_contiguous(file, str(file.name), 0, self.chunk, self.dtype, within)
            with FileIO(self.name(index)) as block:
                packed = block.readall()
        except FileNotFoundError:  # a block of nothing but the fill value need not be stored
            return np.full([span.stop - span.start for span in within], self.fill, self.dtype)
        values = np.frombuffer(self._unpacked(index, packed), np.uint8)
        self._check(index, values.size)
        return values.view(self.dtype).reshape(self.chunk)[within]

    def _unpacked(self, index: BlockIndex, packed: bytes) -> Any:
        """The bytes of a block's numbers. Raises InvalidInput for a damaged block."""
        try:
            return inflate(self.codec, packed, math.prod(self.chunk) * self.dtype.itemsize)
        except Exception as error:  # a codec may raise anything for a damaged block
            raise InvalidInput(f"{self.name(index)} cannot be unpacked: {first_line(error)}") from error

    def _file(self, index: BlockIndex) -> FileIO:
        """The file of a block of plain numbers, which is kept open."""
        if index in self._files:
            self._files.move_to_end(index)
            return self._files[index]
        file = FileIO(self.name(index))
        if len(self._files) == MAX_OPEN_BLOCKS:
            self._files.popitem(last=False)[1].close()
        self._files[index] = file
        self._check(index, os.fstat(file.fileno()).st_size)
        return file

    def _check(self, index: BlockIndex, size: int) -> None:
        """Raises InvalidInput unless a block has the bytes that it must have."""
        expected = math.prod(self.chunk) * self.dtype.itemsize
        if size != expected:
            raise InvalidInput(
                f"{self.name(index)} holds {size} bytes of numbers, where its array says {expected}"
            )

    def close(self) -> None:
        """Close the files. May be called twice."""
        while self._files:
            self._files.popitem()[1].close()


def zarr_blocks(directory: str, item: Any) -> ZarrBlocks | None:
    """The blocks of an array of the hierarchy in a directory; None if the library must read them."""
    dtype = item.dtype
    codec = _codec_2(item.metadata) if item.metadata.zarr_format == 2 else _codec_3(item.metadata)
    if codec is None or dtype.kind not in "cfiu" or not dtype.isnative:
        return None
    folder = os.path.join(directory, item.path)
    return ZarrBlocks(
        name=lambda block: os.path.join(folder, item.metadata.encode_chunk_key(block)),
        chunk=tuple(item.chunks),
        dtype=dtype,
        fill=0 if item.fill_value is None else item.fill_value,
        codec=codec[0],
    )


def _codec_2(metadata: Any) -> tuple[Any] | None:
    """A tuple of the codec of a block, which is None for plain numbers; no tuple if it cannot be unpacked here."""
    codec = metadata.compressor
    if metadata.order != "C" or metadata.filters or (codec is not None and codec.codec_id not in BOUNDED):
        return None
    return (codec,)


def _codec_3(metadata: Any) -> tuple[Any] | None:
    """As `_codec_2`, for version 3."""
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
        or not {*names} <= {*KNOWN_CODECS}
    ):
        return None
    if not names:
        return (None,)
    codecs = library("numcodecs", extra="zarr", what="reading Zarr")
    return (codecs.get_codec({"id": names[0]}),)
