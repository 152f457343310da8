"""What travels from an encoder to a connection: encoded requests, named by key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Buffer = bytes | memoryview
"""Bytes to send as they are. A view of an array is of its bytes: `len` counts bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Whole requests for one key, each with one reply, as a sequence of buffers that are not joined.

    `answer` is the reply to each of them if all is well, in the bytes of RESP; it is empty where
    that reply is not known beforehand. `fields` says how many values each request that reads asks for.
    """

    key: bytes
    requests: int
    buffers: Sequence[Buffer]
    answer: bytes = b""
    fields: Sequence[int] = ()

    @property
    def nbytes(self) -> int:
        return sum(map(len, self.buffers))

    def key_of(self, request: int) -> bytes:
        """The key of the request of this number, from 0 on."""
        return self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedPart(Part):
    """Requests of one length for the keys `{prefix}{number}`, one request a key, with numbers from `first` on.

    `key` is the first key. One object stands for hundreds of requests: a Part for each of them
    would cost as much as encoding it.
    """

    prefix: bytes
    first: int

    def key_of(self, request: int) -> bytes:
        return b"%s%d" % (self.prefix, self.first + request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One chunk, encoded.

    `values` are the values that `Layout.encode` was given.
    `digest` is the xxh3-64 of the chunk's stored values in C order of its box; `weight` is
    Σ|ψ|² over the chunk, without dV. Sending a batch twice gives the same result as once.

    If there is RESTORE in it, `as_hset` makes the same batch with HSET, for a server that
    refuses RESTORE; it stores the same.
    """

    chunk: int
    points: int
    parts: Sequence[Part]
    digest: int
    weight: float
    values: NDArray[Any] = field(compare=False, repr=False)
    as_hset: Callable[[], Batch] | None = field(default=None, compare=False, repr=False)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)

    @property
    def requests(self) -> int:
        return sum(part.requests for part in self.parts)


def byte_view(array: NDArray[Any]) -> memoryview:
    """The bytes of a C-contiguous array as a flat view, not a copy."""
    return array.reshape(-1).view(np.uint8).data
