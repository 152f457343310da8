"""Bounds the memory that a reply may take, before hiredis sees its bytes.

hiredis trusts what it reads. It takes memory for all items of an array as soon as it has read
their number: 8 GB for a peer that says `*1000000000`. It nests arrays as deep as the peer
says, and lets a text grow for as long as bytes come (measured, hiredis 3.5). A timeout does
not help against that. So the guard reads the heads of all replies first, each exactly where
RESP2 has it, and skips what lies between two heads. The caller says how much memory the
replies may take. RESP3 is never asked for, so its types are refused.

Values of one size, as a flat or a tile layout has them, are skipped by slices with a step:
0.01 µs each. Short values of other sizes are skipped by a regular expression: 0.1 µs each.
Parsing takes 0.05 µs, and decoding 0.5 µs or more. Source: the Redis serialization
protocol specification; `createArrayObject` of hiredis-py.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from redis.exceptions import InvalidResponse

REPLY_BYTES: Final = 1 << 20
"""Bytes that the replies of one exchange may take, unless the caller gives another limit."""

LISTING_BYTES: Final = 16 << 20
"""Bytes that a listing of unknown length may take: all names (150,000 or more), or what is in the trash."""

SLOT_TABLE_BYTES: Final = 64 << 20
"""Bytes that a reply to CLUSTER SLOTS may take: 16,384 ranges, each with a primary and two replicas that have names."""

ITEM_BYTES: Final = 64
"""Bytes that an item of an array takes besides its text: as a Python object, and in the list."""

MAX_DEPTH: Final = 5
"""Levels of arrays within arrays. The deepest reply that servers have takes four (COMMAND, CLUSTER SLOTS)."""

MAX_LINE_BYTES: Final = 16_384
"""Bytes of a line, which is a number, a status or an error."""

HEAD_BYTES: Final = 20
"""Bytes around a text, at most: a sign, the digits of its length, and two line ends."""

_MAX_DIGITS: Final = 15
"""Digits of a length. No server sends a longer one."""

_MIN_BYTES: Final = 2048
"""Bytes that must be there before the guard looks for many short replies."""

_MIN_VALUES: Final = 32
"""Values that must be there before the guard looks whether they are alike."""

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


_MANY: Final = re.compile(_short_values() + b"{%d}" % _MIN_VALUES)


@lru_cache(maxsize=2)
def _array(size: int) -> re.Pattern[bytes]:
    """A pattern for an array of at most 32 texts of `size` bytes: points of a bucket."""
    text = b"\\$%d\r\n.{%d}\r\n" % (size, size)
    return re.compile(
        b"(?s:\\*(?:" + b"|".join(b"%d\r\n(?:%s){%d}" % (n, text, n) for n in range(1, 33)) + b"))"
    )


@lru_cache(maxsize=2)
def _arrays(size: int) -> re.Pattern[bytes]:
    """A pattern for any number of such arrays."""
    return re.compile(_array(size).pattern + b"*+")


def reply_limit(items: int, size: int, *, replies: int = 1) -> int:
    """The bytes to allow for so many replies with texts of at most `size` bytes, with a margin of REPLY_BYTES."""
    return REPLY_BYTES + items * (size + HEAD_BYTES + ITEM_BYTES) + replies * (HEAD_BYTES + ITEM_BYTES)


class ReplyRefused(InvalidResponse):
    """A reply that is not parsed: it is no RESP2, or would take too much memory."""


class Guard:
    """Follows the bytes of one connection, in pieces as they come, and raises ReplyRefused at those not to be parsed.

    It refuses replies that take more memory than `expect` was told, arrays nested deeper than
    MAX_DEPTH, lines longer than MAX_LINE_BYTES, and whatever is not RESP2.
    """

    def __init__(self) -> None:
        self.expect(REPLY_BYTES)

    def expect(self, limit: int) -> None:
        """Replies begin that may take `limit` bytes together: their own, and ITEM_BYTES for each item of an array."""
        self._room = self._limit = limit
        # Items that are still to come of each unfinished array, the outermost first.
        self._owed: list[int] = []
        # Bytes that are still to come of a text.
        self._skipped = 0
        # The start of a head that has not come whole.
        self._rest = b""

    def check(self, data: bytes) -> None:
        """Read the heads in the bytes that come next. Raises ReplyRefused."""
        self._room -= len(data)
        if self._room < 0:
            raise ReplyRefused(f"replies of more than {self._limit:,} bytes")
        if self._skipped >= len(data):
            self._skipped -= len(data)
            return
        position, self._skipped = self._skipped, 0
        if self._rest:
            data, self._rest = self._rest + data, b""
        owed, size, find = self._owed, len(data), data.find
        while position < size:
            sign = data[position]
            end = find(_END, position, position + MAX_LINE_BYTES)
            if end < 0:
                if size - position >= MAX_LINE_BYTES:
                    raise ReplyRefused(f"a line of more than {MAX_LINE_BYTES:,} bytes")
                break
            if sign == _TEXT:
                number = self._number(data[position + 1 : end])
                after = end + 2 + (number + 2 if number >= 0 else 0)
                if after > size and number > self._room + size - position:
                    raise ReplyRefused(f"a text of {number:,} bytes, where {self._limit:,} are the limit")
                if owed and owed[-1] >= _MIN_VALUES and position + _MIN_VALUES * (after - position) <= size:
                    position = self._after_texts(data, position, end + 2 - position, after - position)
                    continue
                position = after
            elif sign == _ARRAY:
                if (
                    not owed
                    and size - position > _MIN_BYTES
                    and (after := self._after_arrays(data, position)) > position
                ):
                    position = after
                    continue
                number = self._number(data[position + 1 : end])
                position = end + 2
                if self._begin(number):
                    continue
            elif sign in _LINES:
                position = end + 2
            else:
                raise ReplyRefused(f"a reply of the type {chr(sign)!r}, which was not asked for")
            if owed:
                owed[-1] -= 1
                if not owed[-1]:
                    self._complete()
        else:
            self._skipped = position - size
            return
        self._rest = data[position:]

    def _after_texts(self, data: bytes, position: int, head: int, stride: int) -> int:
        """The end of the text at `position`, or of several alike that are all here; each takes `stride` bytes."""
        several = min(self._owed[-1], (len(data) - position) // stride)
        end = position + several * stride
        if not _are_alike(data, position, head, stride, several):
            several, end = 1, position + stride
            if match := _MANY.match(data, position):
                several, end = _MIN_VALUES, match.end()
        self._owed[-1] -= several
        if not self._owed[-1]:
            self._complete()
        return end

    def _after_arrays(self, data: bytes, position: int) -> int:
        """The end of the short arrays of values at `position`, of those that are here whole; else `position`."""
        if not (head := _VALUES.match(data, position)):
            return position
        size = int(head[1])
        match = _arrays(size).match(data, position)
        end = match.end() if match else position
        # At most so many values: the head of an array takes four bytes or five.
        arrays = sum(1 for _ in _array(size).finditer(data, position, end))
        values = (end - position - 4 * arrays) // (size + len(b"$\r\n\r\n") + len(head[1]))
        self._room -= ITEM_BYTES * (arrays + values)
        if self._room < 0:
            raise ReplyRefused(f"replies that take more than {self._limit:,} bytes")
        return end

    def _number(self, digits: bytes) -> int:
        """The number in a head. Raises ReplyRefused if it is none."""
        number = _SMALL.get(digits)
        if number is not None:
            return number
        if len(digits) > _MAX_DIGITS or not _NUMBER.fullmatch(digits):
            raise ReplyRefused(f"a length of {digits[:_MAX_DIGITS]!r}")
        return int(digits)

    def _begin(self, count: int) -> bool:
        """Take note that an array of `count` items begins (−1: no array); whether items are to come."""
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
        """Take note that the innermost array is complete, and each array of which it is the last item."""
        owed = self._owed
        owed.pop()
        while owed:
            owed[-1] -= 1
            if owed[-1]:
                return
            owed.pop()


def _are_alike(data: bytes, position: int, head: int, stride: int, several: int) -> bool:
    """Whether the `head` bytes at `position` are repeated at each of `several` places that are `stride` apart."""
    end = position + several * stride
    return all(
        data[byte:end:stride] == data[byte : byte + 1] * several for byte in range(position, position + head)
    )
