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
from typing import Final

from redis.exceptions import InvalidResponse

REPLIES: Final = 1 << 20
"""Bytes that the replies of one exchange may take if nothing else is said."""

LISTING: Final = 16 << 20
"""Bytes that a listing may take whose length nobody knows: all names (150,000 or more), what is in the trash."""

ITEM: Final = 64
"""Bytes that an item of an array takes besides its text: as a Python object, and in the list."""

DEPTH: Final = 5
"""Arrays within arrays: what a server describes of itself has four (COMMAND, CLUSTER SLOTS)."""

LINE: Final = 16_384
"""Bytes of a line: a number, a status or an error."""

_HEAD: Final = 20
"""Bytes of a head: a sign and the digits of a length."""

_FEW: Final = 32
"""Values from which on it is looked whether they are alike."""

_END: Final = b"\r\n"
_LENGTH: Final = re.compile(rb"-1|0|[1-9][0-9]*")


def _short_values() -> bytes:
    """A pattern for a text below 100 bytes, or none: `.{n}` after the length n, two digits by two steps."""
    tens = [
        b"%d(?:\r\n.{%d}|%s)" % (d, d, b"|".join(b"%d\r\n.{%d}" % (e, 10 * d + e) for e in range(10)))
        for d in range(1, 10)
    ]
    return b"(?s:\\$(?:" + b"|".join(tens) + b"|0\r\n|-1)\r\n)"


_MANY: Final = re.compile(_short_values() + b"{%d}" % _FEW)


def limit_of(items: int, size: int) -> int:
    """Bytes that replies with so many texts of at most `size` bytes may take, and a little."""
    return REPLIES + items * (size + _HEAD + ITEM)


class ReplyRefused(InvalidResponse):
    """A reply that is not parsed, because of what it is or of what it would take."""


class Guard:
    """Follows the bytes of one connection, in pieces as they come; raises ReplyRefused at those not to be parsed.

    What is refused is more memory than `expect` was told, arrays nested deeper than DEPTH, longer
    lines than LINE, and what is no RESP2.
    """

    def __init__(self) -> None:
        self.expect(REPLIES)

    def expect(self, limit: int) -> None:
        """Replies begin that may take `limit` bytes together: their own, and ITEM for each item of an array."""
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
        while place < len(data):
            sign = data[place : place + 1]
            if sign in (b"$", b"*"):
                number = self._number(data, place)
                if number is None:
                    break
                head = len(b"$%d\r\n" % number)
                if sign == b"*":
                    self._begin(number)
                    place += head
                elif number > self._room + len(data) - place:
                    raise ReplyRefused(f"a text of {number:,} bytes, where {self._limit:,} are the limit")
                else:
                    place = self._after_texts(data, place, head, head + number + 2 if number >= 0 else head)
                continue
            if sign not in (b"+", b"-", b":"):
                raise ReplyRefused(f"a reply of the type {sign!r}, which was not asked for")
            end = data.find(_END, place, place + LINE)
            if end < 0:
                if len(data) - place >= LINE:
                    raise ReplyRefused(f"a line of more than {LINE:,} bytes")
                break
            place = end + len(_END)
            self._came(1)
        else:
            self._skipped = place - len(data)
            return
        self._rest = data[place:]

    def _after_texts(self, data: bytes, place: int, head: int, stride: int) -> int:
        """Where the text at `place` ends, or the last of several that are all here. Each has `stride` bytes."""
        several = min(self._owed[-1], (len(data) - place) // stride) if self._owed else 0
        if several >= _FEW:
            if _are_alike(data, place, head, stride, several):
                self._came(several)
                return place + several * stride
            if match := _MANY.match(data, place):
                self._came(_FEW)
                return match.end()
        self._came(1)
        return place + stride

    def _number(self, data: bytes, place: int) -> int | None:
        """The number in the head at `place`; None if the head has not come whole."""
        end = data.find(_END, place, place + _HEAD)
        if end < 0 and len(data) - place < _HEAD:
            return None
        digits = data[place + 1 : end] if end >= 0 else data[place + 1 : place + _HEAD]
        if end < 0 or not _LENGTH.fullmatch(digits):
            raise ReplyRefused(f"a length of {digits!r}")
        return int(digits)

    def _begin(self, count: int) -> None:
        """An array of `count` items begins, −1 for none."""
        self._room -= ITEM * (max(count, 0) + 1)
        if self._room < 0:
            raise ReplyRefused(f"an array of {count} items, where {self._limit:,} bytes are the limit")
        if count <= 0:
            self._came(1)
            return
        self._owed.append(count)
        if len(self._owed) > DEPTH:
            raise ReplyRefused(f"arrays nested deeper than {DEPTH}")

    def _came(self, items: int) -> None:
        """So many items came whole, of the innermost array if there is one."""
        owed = self._owed
        while owed:
            owed[-1] -= items
            if owed[-1]:
                return
            owed.pop()
            items = 1  # the array itself


def _are_alike(data: bytes, place: int, head: int, stride: int, several: int) -> bool:
    """Whether the `head` bytes at `place` stand at each of `several` places that are `stride` apart."""
    end = place + several * stride
    return all(
        data[byte:end:stride] == data[byte : byte + 1] * several for byte in range(place, place + head)
    )
