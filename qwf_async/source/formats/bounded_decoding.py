"""Unpacking a block to no more bytes than its array says: a longer one is refused before it fills memory.

A megabyte of gzip can hold a gigabyte, a megabyte of zstd thirty. Formats: RFC 1950 and 1952
(zlib, gzip), RFC 8878 (zstd), bzip2 and lzma as Python has them, and the headers that
c-blosc 1 and numcodecs' lz4 write. Blocks of zstd, blosc and lz4 state their length, and the
libraries keep to it; the others are unpacked up to the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import numpy as np

from ...errors import InvalidInput

MAX_LZMA_MEMORY: Final = 256 * 1024 * 1024
"""Bytes that the dictionary of lzma can take; its highest level needs 65 MiB."""

_ZSTD: Final = b"\x28\xb5\x2f\xfd"


def inflate(codec: Any, packed: bytes, max_bytes: int) -> Any:
    """The bytes that a codec of numcodecs, one of `BOUNDED`, has packed.

    Raises InvalidInput if they are more than `max_bytes`, and what the codec raises for damage.
    """
    if codec.codec_id in _STREAMS:
        return _streamed(lambda: _STREAMS[codec.codec_id](codec), packed, max_bytes)
    size = _STATED[codec.codec_id](packed)
    if size is None:
        # It unpacks to exactly so many bytes, or raises.
        return codec.decode(packed, out=np.empty(max_bytes, np.uint8))
    if size > max_bytes:
        raise InvalidInput(f"it unpacks to {size} bytes, where its array says {max_bytes}")
    return codec.decode(packed)


def check_length(codec: Any, packed: bytes, max_bytes: int) -> None:
    """Raises what `inflate` raises, and does not unpack a block that states its length."""
    stated = _STATED.get(codec.codec_id)
    size = stated(packed) if stated is not None else None
    if size is None or size > max_bytes:
        inflate(codec, packed, max_bytes)


def deflated(packed: bytes, max_bytes: int) -> Any:
    """What zlib has packed. Raises InvalidInput if it is more than `max_bytes`, EOFError if it is cut short."""
    return _streamed(lambda: _zlib(15), packed, max_bytes)


def _streamed(begin: Callable[[], Any], packed: bytes, max_bytes: int) -> bytes:
    """What one or more streams hold, one after another."""
    whole = b""
    while packed:
        stream = begin()
        whole += stream.decompress(packed, max_bytes + 1 - len(whole))
        if len(whole) > max_bytes:
            raise InvalidInput(f"it unpacks to more than the {max_bytes} bytes that its array says")
        if not stream.eof:
            raise EOFError("it is cut short")
        packed = stream.unused_data.lstrip(b"\0")  # zeros can follow a stream of gzip
    return whole


def _zlib(bits: int) -> Any:
    return import_module("zlib").decompressobj(bits)


def _lzma(codec: Any) -> Any:
    lzma = import_module("lzma")
    memory = None if codec.format == lzma.FORMAT_RAW else MAX_LZMA_MEMORY
    return lzma.LZMADecompressor(format=codec.format, filters=codec.filters, memlimit=memory)


def zstd_size(packed: bytes) -> int | None:
    """The content size that the first frame states, which the library keeps to; None if it states none."""
    if packed[:4] != _ZSTD or len(packed) < 6:
        return None
    flags = packed[4]
    single = flags >> 5 & 1
    begin = 6 - single + (0, 1, 2, 4)[flags & 3]
    width = (single, 2, 4, 8)[flags >> 6]
    if not width:
        return None
    return int.from_bytes(packed[begin : begin + width], "little") + (256 if width == 2 else 0)


_STREAMS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "gzip": lambda _: _zlib(31),
    "zlib": lambda _: _zlib(15),
    "bz2": lambda _: import_module("bz2").BZ2Decompressor(),
    "lzma": _lzma,
}
_STATED: Final[Mapping[str, Callable[[bytes], int | None]]] = {
    "zstd": zstd_size,
    "blosc": lambda packed: int.from_bytes(packed[4:8], "little"),
    "lz4": lambda packed: int.from_bytes(packed[:4], "little"),
}

BOUNDED: Final = frozenset((*_STREAMS, *_STATED))
"""Codecs of numcodecs whose blocks are unpacked here."""
