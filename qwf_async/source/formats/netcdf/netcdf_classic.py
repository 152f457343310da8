"""The header of a classic NetCDF file, CDF-1, CDF-2 or CDF-5: which variables there are, and where their values are.

Format: NetCDF Classic Format Specification (Unidata, NetCDF User's Guide); CDF-5 by the
specification of PnetCDF. Everything is big-endian and padded to four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from io import FileIO
from typing import Any, Final

import numpy as np

from ....errors import InvalidInput

CLASSIC_MAGIC: Final = b"CDF"
"""What a classic file begins with, before its version."""

CLASSIC_VERSIONS: Final = (1, 2, 5)
"""Versions of the format: 64-bit offsets from 2 on, 64-bit counts in 5."""

TYPES: Final = {
    1: ">i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8", 7: ">u1", 8: ">u2", 9: ">u4", 10: ">i8", 11: ">u8",
}  # fmt: skip
"""The external types by their numbers, as numpy calls them."""

DIMENSIONS, VARIABLES, ATTRIBUTES = 10, 11, 12
"""Tags of the lists in the header."""

MAX_ENTRIES: Final = 10_000
"""Entries that a list can have: a damaged count must not make reading it endless."""

MAX_CLASSIC_HEADER_BYTES: Final = 1 << 24
"""Bytes that a header can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicVariable:
    """One variable, whose values begin at byte `offset`.

    With an unlimited dimension its records are `stride` bytes apart; `stride` is None for one
    whose values have no gaps.
    """

    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    attributes: dict[str, Any]
    dtype: np.dtype[Any]
    offset: int
    stride: int | None


def classic_variables(file: FileIO, name: str, size: int) -> dict[str, ClassicVariable]:
    """The variables of a classic file of `size` bytes.

    Raises InvalidInput if the header is damaged, or says more than the file holds.
    """
    file.seek(0)
    try:
        return _variables(_HeaderReader(data=file.read(MAX_CLASSIC_HEADER_BYTES)), size, name)
    except (
        struct.error,
        KeyError,
        IndexError,
        ValueError,
        UnicodeDecodeError,
        OverflowError,
        TypeError,
    ) as error:
        raise InvalidInput(f"{name} has a damaged NetCDF header") from error


@dataclass(slots=True, kw_only=True)
class _HeaderReader:
    """The header, read from `position` on. `count` and `begin` are the types of its counts and offsets."""

    data: bytes
    position: int = 4
    count: str = ">i"
    begin: str = ">i"
    names: list[tuple[str, int]] = field(default_factory=list)

    def number(self, form: str = ">i") -> int:
        """The next number, of the type `form`."""
        (value,) = struct.unpack_from(form, self.data, self.position)
        self.position += struct.calcsize(form)
        return int(value)

    def bytes(self, size: int) -> bytes:
        """The next bytes; what pads them to four is skipped. Raises ValueError if the header ends before."""
        if not 0 <= size <= len(self.data) - self.position:
            raise ValueError(size)
        data = self.data[self.position : self.position + size]
        self.position += -(-size // 4) * 4
        return data

    def name(self) -> str:
        return self.bytes(self.number(self.count)).decode()

    def entries(self, tag: int, read: Callable[[], Any]) -> list[Any]:
        """The entries of a list, each as `read` reads it, after the tag and the number of them."""
        own_tag, many = self.number(), self.number(self.count)
        if own_tag not in (tag, 0) or not 0 <= many <= MAX_ENTRIES or (own_tag == 0 and many):
            raise ValueError(own_tag)
        return [read() for _ in range(many)]

    def attribute(self) -> tuple[str, Any]:
        name, kind, many = self.name(), self.number(), self.number(self.count)
        dtype = np.dtype(TYPES[kind])
        data = self.bytes(many * dtype.itemsize)
        return name, data.decode() if kind == 2 else np.frombuffer(data, dtype)

    def dimension(self) -> tuple[str, int]:
        return self.name(), self.number(self.count)


def _variables(header: _HeaderReader, size: int, name: str) -> dict[str, ClassicVariable]:
    """The variables by their names. Raises InvalidInput if one ends after the file, ValueError for damage."""
    version = header.data[3]
    if version not in CLASSIC_VERSIONS:
        raise ValueError(version)
    header.count = ">q" if version == 5 else ">i"
    header.begin = ">i" if version == 1 else ">q"
    records = header.number(header.count)
    header.names = header.entries(DIMENSIONS, header.dimension)
    header.entries(ATTRIBUTES, header.attribute)

    def variable() -> tuple[str, list[int], dict[str, Any], np.dtype[Any], int]:
        name = header.name()
        numbers = [header.number(header.count) for _ in range(min(header.number(header.count), MAX_ENTRIES))]
        attributes = dict(header.entries(ATTRIBUTES, header.attribute))
        dtype = np.dtype(TYPES[header.number()])
        header.number(header.count)  # vsize: wrong by specification for large variables, and not needed
        return name, numbers, attributes, dtype, header.number(header.begin)

    variables = header.entries(VARIABLES, variable)
    # The first dimension of a record variable is the one without a length of its own, which has length 0 here.
    sizes = [
        _bytes([header.names[i][1] for i in numbers[1:]], dtype)
        for _, numbers, _, dtype, _ in variables
        if numbers and header.names[numbers[0]][1] == 0
    ]
    # One record variable alone is not padded, by the specification's special case.
    stride = sizes[0] if len(sizes) == 1 else sum(-(-n // 4) * 4 for n in sizes)
    result = {}
    for key, numbers, attributes, dtype, offset in variables:
        dimensions = [header.names[number] for number in numbers]
        is_record = bool(dimensions) and dimensions[0][1] == 0
        shape = tuple(records if n == 0 else n for _, n in dimensions)
        if min((*shape, offset, 1)) < 0:
            raise ValueError(shape)
        end = offset + (
            max(0, records - 1) * stride + _bytes(shape[1:], dtype) if is_record else _bytes(shape, dtype)
        )
        if end > size:
            raise InvalidInput(f"{name} is cut short: {size} bytes, where its variable {key} ends at {end}")
        result[key] = ClassicVariable(
            dimensions=tuple(dimension for dimension, _ in dimensions),
            shape=shape,
            attributes=attributes,
            dtype=dtype,
            offset=offset,
            stride=stride if is_record else None,
        )
    return result


def _bytes(shape: Any, dtype: np.dtype[Any]) -> int:
    """Bytes of an array, in whole numbers of Python, which do not overflow."""
    size = dtype.itemsize
    for length in shape:
        size *= length
    return size
