"""redis-py's parser on hiredis, that does not believe any length of an array.

hiredis takes memory for all items of an array when it has read their number, before the
first has come: 8 GB for a peer that says `*1000000000`, which each pass of the garbage
collector then goes through in 3 s (measured, hiredis 3.5). No timeout helps against that.
A bulk string takes memory as its bytes come, so the time that is allowed for a reply
bounds it. Source: `createArrayObject` of hiredis-py, `processAggregateItem` of hiredis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from redis._parsers.hiredis import NOT_ENOUGH_DATA, _AsyncHiredisParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

MOST_DIGITS: Final = 7
"""Of the number of items. The largest array is a journal, two items for 65,536 points: 10**7 are 3·10**11 points."""

_ARRAY: Final = b"\r\n*"
_END: Final = b"\r\n"

_ONLY: Final = b"*1\r\n$"
"""Of a reply of one text in an array, all before the length of the text."""

_HEAD: Final = len(_ARRAY) + MOST_DIGITS
"""Bytes of a head that are seen together with those that come after them."""


class Parser(_AsyncHiredisParser):
    """Raises InvalidResponse at an array of 10**7 items or more, before it is parsed.

    The bytes of a value that look like the head of one count as such: `\\r\\n*` and eight
    digits, one value of random bytes in 10**14.
    """

    _reader: Any
    _stream: Any
    _last = _END

    @property
    def has_rest(self) -> bool:
        """Whether anything came after the last reply that was read."""
        # There is no public way to what asyncio's reader holds.
        return bool(self._reader.has_data() or self._stream._buffer)

    async def read_replies(self, count: int, progress: Callable[[], None]) -> list[Any]:
        """The next replies, an error reply in its place; `progress` is called when some of them have come.

        Raises ConnectionError of redis-py if the server closed the connection, or says that
        it is of no use now (LOADING), and InvalidResponse if it does not speak RESP.
        """
        replies: list[Any] = []
        if count == 1 and not self._reader.has_data():
            data = await self._received()
            text = only_text(data)
            if text is not None:
                self._last = _END
                return [[text]]
            self._feed(data)
        while True:
            before = len(replies)
            while len(replies) < count and (reply := self._reader.gets()) is not NOT_ENOUGH_DATA:
                if isinstance(reply, RedisConnectionError):
                    raise reply
                replies.append(reply)
            if len(replies) == count:
                return replies
            if len(replies) > before:
                progress()
            await self.read_from_socket()

    async def read_from_socket(self) -> bool:
        self._feed(await self._received())
        return True

    async def _received(self) -> bytes:
        data: bytes = await self._stream.read(self._read_size)
        if not data:
            raise RedisConnectionError("the server closed the connection")
        return data

    def _feed(self, data: bytes) -> None:
        seen = self._last + data
        place = seen.find(_ARRAY)
        while place >= 0:
            digits = seen[place + len(_ARRAY) : place + _HEAD + 1]
            if len(digits) > MOST_DIGITS and digits.isdigit():
                raise InvalidResponse(f"an array of {digits.decode()}… items")
            place = seen.find(_ARRAY, place + 1)
        self._last = seen[-_HEAD:]
        self._reader.feed(data)


def only_text(data: bytes) -> bytes | None:
    """The text in a reply of one text in an array, as to HMGET of one field, if that is all there is; else None.

    What hiredis makes of it, too, and 8 µs sooner for a tile of 8 KiB: there it is searched
    for heads of arrays and copied twice.
    """
    end = data.find(_END, len(_ONLY), len(_ONLY) + MOST_DIGITS + len(_END))
    size = len(data) - end - 2 * len(_END)
    if end < 0 or data[:end] != b"%s%d" % (_ONLY, size) or not data.endswith(_END):
        return None
    return data[end + len(_END) : -len(_END)]
