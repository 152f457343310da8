"""A chunk's values as the bytes of one row, and back.

A row begins with the xxh3-64 of all that follows (8 bytes) and the length of the header (4
bytes), both little-endian. The header in msgpack follows, then the values as the codec has
them, in C order. The header names the generation and the sequence number, so that no row is
taken for another. A row holds no request: the replay decides which keys it writes, and how.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import xxhash

from ..wire.batch import Batch, Buffer, byte_view

_CHECKSUM: Final = struct.Struct("<Q")
_LENGTH: Final = struct.Struct("<I")


class _Array(msgspec.Struct, frozen=True, array_like=True):
    """The array after the header: `shape` is that of the chunk's values, `dtype` as numpy writes it."""

    dtype: str
    points: int
    order: str
    nbytes: int
    shape: list[int]


class _Header(msgspec.Struct, frozen=True, array_like=True):
    generation: str
    sequence: int
    chunk: int
    points: int
    digest: int
    weight: float
    arrays: list[_Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A chunk that waits. `digest` and `weight` are those of its Batch, `values` are the bytes of its values."""

    chunk: int
    digest: int
    weight: float
    values: memoryview


def encode(batch: Batch, *, generation: str, sequence: int) -> Sequence[Buffer]:
    """The row of a batch, as buffers. Contiguous values are not copied."""
    values = np.ascontiguousarray(batch.values)
    array = _Array(
        dtype=values.dtype.str,
        points=values.size,
        order="C",
        nbytes=values.nbytes,
        shape=list(values.shape),
    )
    header = msgspec.msgpack.encode(
        _Header(
            generation=generation,
            sequence=sequence,
            chunk=batch.chunk,
            points=batch.points,
            digest=batch.digest,
            weight=float(batch.weight),
            arrays=[array],
        )
    )
    buffers: list[Buffer] = [_LENGTH.pack(len(header)) + header, byte_view(values)]
    checksum = xxhash.xxh3_64()
    for buffer in buffers:
        checksum.update(buffer)
    return [_CHECKSUM.pack(checksum.intdigest()), *buffers]


def decode(row: bytes, *, generation: str, sequence: int) -> Row:
    """What a row holds. The values are a view of the row.

    Raises ValueError, with the reason, if it is not the whole row of this generation and
    sequence number.
    """
    view = memoryview(row)
    if len(row) < _CHECKSUM.size + _LENGTH.size:
        raise ValueError(f"it has only {len(row)} bytes")
    if _CHECKSUM.unpack_from(row)[0] != xxhash.xxh3_64_intdigest(view[_CHECKSUM.size :]):
        raise ValueError("its checksum does not match")
    start = _CHECKSUM.size + _LENGTH.size
    (length,) = _LENGTH.unpack_from(row, _CHECKSUM.size)
    try:
        header = msgspec.msgpack.decode(view[start : start + length], type=_Header)
    except msgspec.MsgspecError as error:
        raise ValueError(f"its header is none: {error}") from error
    if (header.generation, header.sequence) != (generation, sequence):
        raise ValueError(f"it is row {header.sequence} of generation {header.generation:.20}")
    if [array.nbytes for array in header.arrays] != [len(row) - start - length]:
        raise ValueError("its length is not that of its values")
    return Row(chunk=header.chunk, digest=header.digest, weight=header.weight, values=view[start + length :])
