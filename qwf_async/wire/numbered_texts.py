"""Texts with numbers in them, many at a time: keys and fields of points that lie anywhere.

`field_names` makes the names of a whole box faster; here each text has numbers of its own.
Texts whose numbers have as many digits are made together, as one array of bytes, and then
copied to where they belong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .batch import Buffer, byte_view
from .resp import bulk

_POWERS: Final = 10 ** np.arange(1, 19, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedTexts:
    """Texts made of the same parts one after the other: a part is constant, or a number of 0 or more for each text.

    Numbers are int64 [texts], written in decimal. `count` is how many texts there are if no
    part is numbers.
    """

    parts: Sequence[bytes | NDArray[np.int64]]
    count: int = 1

    @classmethod
    def of(cls, pattern: bytes, *numbers: NDArray[np.int64], after: bytes = b"") -> NumberedTexts:
        """Texts that are `after` and then `pattern`, as `%` formats it, with numbers for each %d in it."""
        constants = pattern.split(b"%d")
        parts: list[bytes | NDArray[np.int64]] = [after + constants[0]]
        for part, constant in zip(numbers, constants[1:], strict=True):
            parts += [part, constant]
        return cls(parts=[part for part in parts if len(part)])

    def __len__(self) -> int:
        return len(self._numbers[0]) if self._numbers else self.count

    def __getitem__(self, i: int) -> bytes:
        """One of the texts."""
        return b"".join(part if isinstance(part, bytes) else b"%d" % part[i] for part in self.parts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Bytes of each text."""
        constant = sum(len(part) for part in self.parts if isinstance(part, bytes))
        lengths = np.full(len(self), constant, np.int64)
        for numbers in self._numbers:
            lengths += _width(numbers)
        return lengths

    @property
    def bulks(self) -> NumberedTexts:
        """The same texts as bulk strings."""
        return NumberedTexts(parts=(b"$", self.lengths, b"\r\n", *self.parts, b"\r\n"))

    def taken(self, some: NDArray[np.int64]) -> NumberedTexts:
        """Some of the texts."""
        parts = [part if isinstance(part, bytes) else part[some] for part in self.parts]
        return NumberedTexts(parts=parts, count=len(some))

    def write(self, out: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        """Write each text into `out`, from its own start on."""
        code = np.zeros(len(self), np.int64)
        for numbers in self._numbers:
            code = code * 20 + _width(numbers)
        order = np.argsort(code, kind="stable")
        edges = np.flatnonzero(np.diff(code[order], prepend=-1, append=-1))
        for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            alike = order[begin:end]
            texts = _same_length_texts(self.taken(alike))
            out[starts[alike][:, None] + np.arange(texts.shape[1])] = texts

    @property
    def _numbers(self) -> list[NDArray[np.int64]]:
        return [part for part in self.parts if not isinstance(part, bytes)]


def _width(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Decimal digits of each number."""
    return np.searchsorted(_POWERS, numbers, side="right") + 1


def _same_length_texts(texts: NumberedTexts) -> NDArray[np.uint8]:
    """Texts of one length, uint8 [texts, length]."""
    first = texts[0]
    data = np.empty((len(texts), len(first)), np.uint8)
    data[:] = np.frombuffer(first, np.uint8)
    at = 0
    for part in texts.parts:
        if isinstance(part, bytes):
            at += len(part)
            continue
        width = len(str(part[0]))
        for k in range(width):
            data[:, at + k] = part // 10 ** (width - 1 - k) % 10 + ord("0")
        at += width
    return data


def hmget(keys: NumberedTexts, fields: NumberedTexts, counts: NDArray[np.int64]) -> Buffer:
    """Requests of HMGET, one a key. Request i asks for the next `counts[i]` of the fields, at least one."""
    before = (b"*", counts + 2, b"\r\n" + bulk(b"HMGET"))
    heads = NumberedTexts(parts=(*before, *keys.bulks.parts))
    names = fields.bulks
    ends = np.cumsum(counts)
    sizes = names.lengths
    sizes[ends - counts] += heads.lengths
    stops = np.cumsum(sizes)
    out = np.empty(int(stops[-1]), np.uint8)
    names.write(out, stops - names.lengths)
    heads.write(out, (stops - sizes)[ends - counts])
    return byte_view(out)


def of_keys(command: bytes, keys: NumberedTexts) -> Buffer:
    """Requests of a command that takes a key alone, one a key."""
    requests = NumberedTexts(parts=(b"*2\r\n" + bulk(command), *keys.bulks.parts))
    stops = np.cumsum(requests.lengths)
    out = np.empty(int(stops[-1]), np.uint8)
    requests.write(out, stops - requests.lengths)
    return byte_view(out)
