"""Arrays of zarr-python whose blocks do not unpack to more than their array says.

Codecs that pack bytes are replaced by codecs with a bound, also within shards. Not covered:
codecs that are not among `bounded_decoding.BOUNDED`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Final

from ....optional import library
from ..bounded_decoding import BOUNDED, check_length, inflate

MAX_CODEC_GROWTH: Final = 64 * 1024
"""Bytes by which a codec, besides an eighth, can make data longer before the next codec packs it."""

MAX_FILTER_GROWTH: Final = 16
"""Times that filters of version 2 can make numbers longer: from one byte to sixteen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited2:
    """A codec of version 2 that unpacks as `inner` of numcodecs does, to at most `max_bytes` bytes."""

    codec_id: ClassVar[str] = "bounded"
    inner: Any
    max_bytes: int

    def encode(self, buf: Any) -> Any:
        return self.inner.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        return inflate(self.inner, bytes(memoryview(buf)), self.max_bytes)

    def get_config(self) -> Any:
        return self.inner.get_config()

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """Never called: this codec stands around one that was made from the metadata, and is in none itself."""
        raise NotImplementedError


def bounded(item: Any) -> Any:
    """The same array, whose blocks are unpacked with a bound."""
    if item.metadata.zarr_format == 2:
        metadata = _bounded_2(item)
    else:
        metadata = replace(item.metadata, codecs=_chain(item.metadata.codecs))
    return type(item)(replace(item.async_array, metadata=metadata))


def _bounded_2(item: Any) -> Any:
    size = math.prod(item.chunks) * item.dtype.itemsize
    filters, packed = item.metadata.filters or (), item.metadata.compressor
    max_bytes = MAX_FILTER_GROWTH * size + MAX_CODEC_GROWTH if filters else size
    return replace(
        item.metadata,
        filters=[_limited(filter_, max_bytes) for filter_ in filters] or None,
        compressor=None if packed is None else _limited(packed, max_bytes),
    )


def _limited(codec: Any, max_bytes: int) -> Any:
    return Limited2(inner=codec, max_bytes=max_bytes) if codec.codec_id in BOUNDED else codec


def _chain(codecs: Iterable[Any]) -> tuple[Any, ...]:
    """The codecs of a chain in version 3, with bounds; the first that packs bytes packs those of the numbers."""
    chain, first = [], True
    for codec in codecs:
        inner = getattr(codec, "codecs", None)
        if inner is not None:
            chain.append(replace(codec, codecs=_chain(inner)))
            continue
        about = codec.to_dict()
        name = about["name"].removeprefix("numcodecs.")
        if name in BOUNDED:
            settings = about.get("configuration", {}) if name == "lzma" else {}
            unpacks = library("numcodecs", extra="zarr", what="reading Zarr").get_codec(
                {"id": name, **settings}
            )
            chain.append(_limited_3()(codec, unpacks, first))
            first = False
        else:
            chain.append(codec)
    return tuple(chain)


@cache
def _limited_3() -> Any:
    """The class of a codec of version 3 with a bound. It is made here because its base class is imported late."""
    base = library("zarr.abc.codec", extra="zarr", what="reading Zarr").BytesBytesCodec

    @dataclass(frozen=True)
    class Limited3(base):  # type: ignore[misc, valid-type] # it is Any
        """Decodes as `inner` does, if `unpacks`, the same codec of numcodecs, yields no more bytes than the bound."""

        inner: Any
        unpacks: Any
        first: bool
        is_fixed_size = False

        def compute_encoded_size(self, length: int, spec: Any) -> Any:
            return self.inner.compute_encoded_size(length, spec)

        def to_dict(self) -> Any:
            return self.inner.to_dict()

        def evolve_from_array_spec(self, array_spec: Any) -> Any:
            return replace(self, inner=self.inner.evolve_from_array_spec(array_spec))

        async def decode(self, chunks_and_specs: Any) -> Any:
            pairs = list(chunks_and_specs)
            for data, spec in pairs:
                if data is not None:
                    size = math.prod(spec.shape) * spec.dtype.item_size
                    max_bytes = size if self.first else size + size // 8 + MAX_CODEC_GROWTH
                    check_length(self.unpacks, data.to_bytes(), max_bytes)
            return await self.inner.decode(pairs)

    return Limited3
