"""One batch as the bytes of one row, and back.

A row is the xxh3-64 of all that follows (8 bytes), the length of the header (4 bytes, both
little-endian), the header in msgpack, and the buffers of all parts one after the other. It
names its generation and its place, so that no other row is taken for it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import msgspec
import xxhash

from ..wire.batch import Batch, Buffer, NumberedPart, Part

_CHECKSUM: Final = struct.Struct("<Q")
_LENGTH: Final = struct.Struct("<I")


class _PartHeader(msgspec.Struct, frozen=True, array_like=True):
    """`numbered` holds `prefix` and `first` of a NumberedPart."""

    key: bytes
    requests: int
    answer: bytes
    nbytes: int
    numbered: tuple[bytes, int] | None


class _Header(msgspec.Struct, frozen=True, array_like=True):
    generation: str
    sequence: int
    chunk: int
    points: int
    digest: int
    weight: float
    parts: list[_PartHeader]


def encode(batch: Batch, *, generation: str, sequence: int) -> Sequence[Buffer]:
    """The row of a batch as buffers, those of the batch among them: nothing of it is copied."""
    header = msgspec.msgpack.encode(
        _Header(
            generation=generation,
            sequence=sequence,
            chunk=batch.chunk,
            points=batch.points,
            digest=batch.digest,
            weight=float(batch.weight),
            parts=[_part_header(part) for part in batch.parts],
        )
    )
    buffers = [_LENGTH.pack(len(header)) + header, *(b for part in batch.parts for b in part.buffers)]
    checksum = xxhash.xxh3_64()
    for buffer in buffers:
        checksum.update(buffer)
    return [_CHECKSUM.pack(checksum.intdigest()), *buffers]


def decode(row: bytes, *, generation: str, sequence: int) -> Batch:
    """The batch of a row, each part's bytes in one buffer that is a view of the row.

    Raises ValueError saying why if it is not the whole row of this generation and place.
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
        raise ValueError(f"it is row {header.sequence} of generation {header.generation}")
    start += length
    if start + sum(part.nbytes for part in header.parts) != len(row):
        raise ValueError("its length is not that of its parts")
    parts = []
    for part in header.parts:
        parts.append(_part(part, view[start : start + part.nbytes]))
        start += part.nbytes
    return Batch(
        chunk=header.chunk, points=header.points, parts=parts, digest=header.digest, weight=header.weight
    )


def _part_header(part: Part) -> _PartHeader:
    return _PartHeader(
        key=part.key,
        requests=part.requests,
        answer=part.answer,
        nbytes=part.nbytes,
        numbered=(part.prefix, part.first) if isinstance(part, NumberedPart) else None,
    )


def _part(header: _PartHeader, data: memoryview) -> Part:
    if header.numbered is None:
        return Part(key=header.key, requests=header.requests, answer=header.answer, buffers=(data,))
    prefix, first = header.numbered
    return NumberedPart(
        key=header.key,
        requests=header.requests,
        answer=header.answer,
        buffers=(data,),
        prefix=prefix,
        first=first,
    )
