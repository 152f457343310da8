"""How much memory a reply may take, checked before hiredis sees its bytes.

hiredis believes what it reads: it takes memory for all items of an array when it has read
their number (8 GB for a peer that says `*1000000000`), it nests arrays as deep as it is told,
and a text grows for as long as bytes come (measured, hiredis 3.5). No timeout helps against
that. So the heads of all that comes are read here first, each exactly where RESP2 has it,
and what lies between two heads is skipped. Whoever asks says how much memory the replies
may take. RESP3 is never asked for, so its types are refused.

Values of one size, as a flat or a tile layout has them, are skipped by slices with a step,
and short ones of other sizes by a regular expression: 0.01 and 0.1 µs each, where parsing
takes 0.05 µs and decoding 0.5 µs or more. Source: the Redis serialization protocol
specification; `createArrayObject` of hiredis-py.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from redis.exceptions import InvalidResponse

REPLY_BYTES: Final = 1 << 20
"""Bytes that the replies of one exchange may take if nothing else is said."""

LISTING_BYTES: Final = 16 << 20
"""Bytes that a listing may take whose length nobody knows: all names (150,000 or more), what is in the trash."""

ITEM_BYTES: Final = 64
"""Bytes that an item of an array takes besides its text: as a Python object, and in the list."""

MAX_DEPTH: Final = 5
"""Arrays within arrays: what a server describes of itself has four (COMMAND, CLUSTER SLOTS)."""

MAX_LINE_BYTES: Final = 16_384
"""Bytes of a line: a number, a status or an error."""

HEAD_BYTES: Final = 20
"""Bytes around a text, at most: a sign, the digits of its length and two ends of a line."""

_DIGITS: Final = 15
"""Of a length: any longer one is nonsense."""

_MUCH: Final = 2048
"""Bytes from which on it is looked whether there are many short replies."""

_FEW: Final = 32
"""Values from which on it is looked whether they are alike."""

_END: Final = b"\r\n"
_TEXT, _ARRAY, _LINES = b"$"[0], b"*"[0], b"+-:"
_NUMBER: Final = re.compile(rb"[1-9][0-9]*")
_SMALL: Final = {b"%d" % number: number for number in range(-1, 1000)}
_VALUES: Final = re.compile(rb"\*[1-9][0-9]?\r\n\$(8|16)\r\n")


def _short_values() -> bytes:
    """A pattern for a text below 100 bytes, or none: `.{n}` after the length n, two digits by two steps."""
    tens = [
        b"%d(?:\r\n.{%d}|%s)" % (d, d, b"|".join(b"%d\r\n.{%d}" % (e, 10 * d + e) for e in range(10)))
        for d in range(1, 10)
    ]
    return b"(?s:\\$(?:" + b"|".join(tens) + b"|0\r\n|-1)\r\n)"


_MANY: Final = re.compile(_short_values() + b"{%d}" % _FEW)


@lru_cache(maxsize=2)
def _arrays(size: int) -> re.Pattern[bytes]:
    """A pattern for any number of arrays of at most 32 texts of `size` bytes: points of a few buckets each."""
    text = b"\\$%d\r\n.{%d}\r\n" % (size, size)
    return re.compile(
        b"(?s:\\*(?:" + b"|".join(b"%d\r\n(?:%s){%d}" % (n, text, n) for n in range(1, 33)) + b"))*+"
    )


def reply_limit(items: int, size: int) -> int:
    """Bytes that replies with so many texts of at most `size` bytes may take, and a little."""
    return REPLY_BYTES + items * (size + HEAD_BYTES + ITEM_BYTES)


class ReplyRefused(InvalidResponse):
    """A reply that is not parsed, because of what it is or of what it would take."""


class Guard:
    """Follows the bytes of one connection, in pieces as they come; raises ReplyRefused at those not to be parsed.

    What is refused is more memory than `expect` was told, arrays nested deeper than MAX_DEPTH, longer
    lines than MAX_LINE_BYTES, and what is no RESP2.
    """

    def __init__(self) -> None:
        self.expect(REPLY_BYTES)

    def expect(self, limit: int) -> None:
        """Replies begin that may take `limit` bytes together: their own, and ITEM_BYTES for each item of an array."""
        self._room = self._limit = limit
        self._owed: list[
            int
        ] = []  # items that are to come of each array that is not complete, the outermost first
        self._skipped = 0  # bytes that are to come of a text
        self._rest = b""  # of a head that has not come whole

    def check(self, data: bytes) -> None:
        """Look at the bytes that come next."""
        self._room -= len(data)
        if self._room < 0:
            raise ReplyRefused(f"replies of more than {self._limit:,} bytes")
        if self._skipped >= len(data):
            self._skipped -= len(data)
            return
        place, self._skipped = self._skipped, 0
        if self._rest:
            data, self._rest = self._rest + data, b""
        owed, size, find = self._owed, len(data), data.find
        while place < size:
            sign = data[place]
            end = find(_END, place, place + MAX_LINE_BYTES)
            if end < 0:
                if size - place >= MAX_LINE_BYTES:
                    raise ReplyRefused(f"a line of more than {MAX_LINE_BYTES:,} bytes")
                break
            if sign == _TEXT:
                number = self._number(data[place + 1 : end])
                after = end + 2 + (number + 2 if number >= 0 else 0)
                if after > size and number > self._room + size - place:
                    raise ReplyRefused(f"a text of {number:,} bytes, where {self._limit:,} are the limit")
                if owed and owed[-1] >= _FEW and place + _FEW * (after - place) <= size:
                    place = self._after_texts(data, place, end + 2 - place, after - place)
                    continue
                place = after
            elif sign == _ARRAY:
                if not owed and size - place > _MUCH and (after := self._after_arrays(data, place)) > place:
                    place = after
                    continue
                number = self._number(data[place + 1 : end])
                place = end + 2
                if self._begin(number):
                    continue
            elif sign in _LINES:
                place = end + 2
            else:
                raise ReplyRefused(f"a reply of the type {chr(sign)!r}, which was not asked for")
            if owed:
                owed[-1] -= 1
                if not owed[-1]:
                    self._complete()
        else:
            self._skipped = place - size
            return
        self._rest = data[place:]

    def _after_texts(self, data: bytes, place: int, head: int, stride: int) -> int:
        """Where the text at `place` ends, or the last of several that are all here. Each has `stride` bytes."""
        several = min(self._owed[-1], (len(data) - place) // stride)
        end = place + several * stride
        if not _are_alike(data, place, head, stride, several):
            several, end = 1, place + stride
            if match := _MANY.match(data, place):
                several, end = _FEW, match.end()
        self._owed[-1] -= several
        if not self._owed[-1]:
            self._complete()
        return end

    def _after_arrays(self, data: bytes, place: int) -> int:
        """Where the short arrays of values end that begin at `place` and are here whole; `place` if none is."""
        if not (head := _VALUES.match(data, place)):
            return place
        size = int(head[1])
        match = _arrays(size).match(data, place)
        end = match.end() if match else place
        # At most so many values, and no more arrays than values.
        self._room -= 2 * ITEM_BYTES * ((end - place) // (size + 7))
        if self._room < 0:
            raise ReplyRefused(f"replies that take more than {self._limit:,} bytes")
        return end

    def _number(self, digits: bytes) -> int:
        """The number in a head."""
        number = _SMALL.get(digits)
        if number is not None:
            return number
        if len(digits) > _DIGITS or not _NUMBER.fullmatch(digits):
            raise ReplyRefused(f"a length of {digits[:_DIGITS]!r}")
        return int(digits)

    def _begin(self, count: int) -> bool:
        """An array of `count` items begins, −1 for none; whether any are to come."""
        self._room -= ITEM_BYTES * (max(count, 0) + 1)
        if self._room < 0:
            raise ReplyRefused(f"an array of {count} items, where {self._limit:,} bytes are the limit")
        if count <= 0:
            return False
        self._owed.append(count)
        if len(self._owed) > MAX_DEPTH:
            raise ReplyRefused(f"arrays nested deeper than {MAX_DEPTH}")
        return True

    def _complete(self) -> None:
        """The innermost array has all its items, and so, perhaps, has the one that it is an item of."""
        owed = self._owed
        owed.pop()
        while owed:
            owed[-1] -= 1
            if owed[-1]:
                return
            owed.pop()


def _are_alike(data: bytes, place: int, head: int, stride: int, several: int) -> bool:
    """Whether the `head` bytes at `place` stand at each of `several` places that are `stride` apart."""
    end = place + several * stride
    return all(
        data[byte:end:stride] == data[byte : byte + 1] * several for byte in range(place, place + head)
    )
