"""A compressed member of an npz archive, unpacked in order, a piece at a time, and anew for each pass."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ....errors import InvalidInput
from ..variable import Slices

UNPACKED_BYTES: Final = 1 << 20
"""Bytes that are unpacked at a time."""

MAX_PASSES: Final = 8
"""Times that a member is unpacked from its beginning: an ingest, its verification, a few resumptions."""


@dataclass(slots=True, kw_only=True)
class CompressedMember:
    """A compressed member that holds an array in C order, unpacked from its beginning as far as it is asked for.

    The values begin at byte `begin` of the unpacked member.
    """

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    what: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    begin: int
    _stream: Any = field(default=None, repr=False)
    _position: int = 0
    _passes: int = 0

    def read(self, slices: Slices) -> NDArray[Any]:
        """A block. Raises InvalidInput if the member would have to be unpacked from its beginning too often."""
        sizes = tuple(span.stop - span.start for span in slices)
        axis = next((axis for axis, size in enumerate(sizes) if size > 1), len(sizes) - 1)
        if sizes[axis + 1 :] != self.shape[axis + 1 :]:
            # A block that is not in one piece: along its first dimension of several indices, index by index.
            before, along, after = slices[:axis], slices[axis], slices[axis + 1 :]
            pieces = [self.read((*before, slice(i, i + 1), *after)) for i in range(along.start, along.stop)]
            return np.concatenate(pieces, axis)
        first = 0
        for span, size in zip(slices, self.shape, strict=True):
            first = first * size + span.start
        position = self.begin + first * self.dtype.itemsize
        if self._stream is None or position < self._position:
            self._rewind()
        while self._position < position:
            self._take(min(position - self._position, UNPACKED_BYTES))
        return np.frombuffer(self._take(math.prod(sizes) * self.dtype.itemsize), self.dtype).reshape(sizes)

    def close(self) -> None:
        """Close the stream that it is unpacked from, which keeps the archive open. May be called twice."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _rewind(self) -> None:
        """Begin to unpack it anew. Raises InvalidInput after MAX_PASSES."""
        self._passes += 1
        if self._passes > MAX_PASSES:
            raise InvalidInput(
                f"{self.what} is compressed, and asked for out of its order: unpack it first (numpy.savez)"
            )
        self.close()
        self._stream, self._position = self.archive.open(self.info), 0

    def _take(self, size: int) -> bytes:
        """The next bytes. Raises InvalidInput if there are fewer."""
        data: bytes = self._stream.read(size)
        if len(data) != size:
            raise InvalidInput(f"{self.what} is cut short")
        self._position += size
        return data


def run_of(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The shape of a block of an array in C order that is in one piece and has RUN_BYTES at most."""
    room, run = max(1, UNPACKED_BYTES // itemsize), [1] * len(shape)
    for axis in range(len(shape) - 1, -1, -1):
        run[axis] = min(shape[axis], room)
        room //= shape[axis]
        if room < 1:
            break
    return tuple(run)
