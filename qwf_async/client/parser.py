"""redis-py's parser on hiredis, behind a guard that bounds what a reply can take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from .guard import Guard
from .redis_private import INCOMPLETE, HiredisParser

_DIGITS: Final = 7
"""Of the length of a text that is taken apart without hiredis."""

_END: Final = b"\r\n"

_ONLY: Final = b"*1\r\n$"
"""Of a reply of one text in an array, all before the length of the text."""


class Parser(HiredisParser):
    """Raises ReplyRefused at what its guard refuses, before it is parsed."""

    _guard: Guard

    def on_connect(self, connection: Any) -> None:
        super().on_connect(connection)  # type: ignore[no-untyped-call] # untyped in redis-py
        self._guard = Guard()

    async def read_replies(self, count: int, progress: Callable[[], None], limit: int) -> list[Any]:
        """The next replies, an error reply in its place; `progress` is called when some of them have come.

        They may take `limit` bytes together, as `Guard.expect` counts them.
        Raises ConnectionError of redis-py if the server closed the connection, or says that
        it is of no use now (LOADING), and InvalidResponse if it does not speak RESP2, or takes more.
        """
        replies: list[Any] = []
        self._guard.expect(limit)
        if count == 1 and not self._reader.has_data():
            data = await self.received()
            text = only_text(data)
            if text is not None:
                return [[text]]
            self._feed(data)
        while True:
            before = len(replies)
            while len(replies) < count and (reply := self._reader.gets()) is not INCOMPLETE:
                if isinstance(reply, RedisConnectionError):
                    raise reply
                replies.append(reply)
            if len(replies) == count:
                return replies
            if len(replies) > before:
                progress()
            await self.read_from_socket()

    async def read_from_socket(self) -> bool:
        self._feed(await self.received())
        return True

    def _feed(self, data: bytes) -> None:
        self._guard.check(data)
        self._reader.feed(data)


def only_text(data: bytes) -> bytes | None:
    """The text in a reply of one text in an array, as to HMGET of one field, if that is all there is; else None.

    What hiredis makes of it, too, and sooner: there it is copied twice.
    """
    end = data.find(_END, len(_ONLY), len(_ONLY) + _DIGITS + len(_END))
    size = len(data) - end - 2 * len(_END)
    if end < 0 or data[:end] != b"%s%d" % (_ONLY, size) or not data.endswith(_END):
        return None
    return data[end + len(_END) : -len(_END)]
