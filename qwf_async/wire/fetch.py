"""A few thousand points that lie anywhere, read together: the requests, and the points' values from the replies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedData
from . import text10
from .batch import Buffer
from .codec import binary_dtype, damage, is_value, is_whole, joined, max_bytes
from .numbered_texts import NumberedTexts, hmget

FETCH_POINTS: Final = 8192
"""Points in a fetch: large enough that its own cost does not show."""

FETCH_BYTES: Final = 1_048_576
"""Bytes of values that a fetch may ask for, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A few thousand points, and the fields that hold them.

    `rows` says which of the points they are. The value of row r is number `inside[r]` of
    field number `among[r]` of those fetched, each of which holds `held` values.
    `counts` fields each come from one of `keys`.
    """

    keys: NumberedTexts
    fields: NumberedTexts
    counts: NDArray[np.int64]
    codec: str
    held: int
    rows: NDArray[np.int64]
    among: NDArray[np.int64]
    inside: NDArray[np.int64] | int

    @property
    def buffer(self) -> Buffer:
        """The requests, encoded."""
        return hmget(self.keys, self.fields, self.counts)

    @property
    def field_bytes(self) -> int:
        """The most bytes that a field has."""
        return self.held * max_bytes(self.codec)

    def key_of(self, request: int) -> str:
        return self.keys[request].decode()

    def values(self, replies: Sequence[Any]) -> NDArray[Any]:
        """The values of the points `rows`. Raises DamagedData naming the first that is missing or malformed."""
        fields = list(chain.from_iterable(replies))
        dtype = binary_dtype(self.codec)
        if dtype is not None:
            data = joined(fields, self.held * dtype.itemsize)
            if data is None:
                raise self._damage(fields)
            values: NDArray[Any] = np.frombuffer(data, dtype).reshape(-1, self.held)[self.among, self.inside]
            return values
        try:
            return text10.decode(text10.Texts.of(fields))[self.among]
        except ValueError as error:
            raise self._damage(fields) from error

    def _damage(self, fields: Sequence[Any]) -> DamagedData:
        """The error that names the first field that is missing or of the wrong form."""
        number = next(n for n, value in enumerate(fields) if not self._is_whole(value))
        request = int(np.searchsorted(np.cumsum(self.counts), number, side="right"))
        wrong = f"that are no {self.codec}"
        return damage(self.keys[request], self.fields[number], fields[number], wrong)

    def _is_whole(self, value: Any) -> bool:
        dtype = binary_dtype(self.codec)
        return is_whole(self.codec, value) if dtype is None else is_value(value, self.held * dtype.itemsize)


def request_begins(keys: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Where requests begin among fields [N] of these keys, equal ones together: each of at most `most` of one key."""
    begins = np.flatnonzero(np.diff(keys, prepend=-1))
    nth = np.arange(len(keys)) - np.repeat(begins, np.diff(begins, append=len(keys)))
    return np.flatnonzero(nth % most == 0)


def grouped(
    places: NDArray[np.int64], most: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Rows of `places` [N] brought together where the places are equal, at most `most` distinct places at a time.

    Yields the rows, the distinct places in ascending order, and the number of the place
    that each of the rows has.
    """
    order = np.argsort(places, kind="stable")
    ascending = places[order]
    begins = np.flatnonzero(np.diff(ascending, prepend=-1))
    for first in range(0, len(begins), most):
        group = begins[first : first + most]
        end = begins[first + most] if first + most < len(begins) else len(places)
        lengths = np.diff(group, append=end)
        yield order[group[0] : end], ascending[group], np.repeat(np.arange(len(group)), lengths)
