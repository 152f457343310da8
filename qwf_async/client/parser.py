"""redis-py's parser on hiredis, behind a guard that bounds what a reply can take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError

from .guard import Guard
from .redis_private import INCOMPLETE, HiredisParser

_MAX_DIGITS: Final = 7
"""Digits of the length of a text that is read without hiredis."""

_END: Final = b"\r\n"

_ONLY: Final = b"*1\r\n$"
"""The start of a reply that is an array of one text, up to the length of the text."""


class Parser(HiredisParser):
    """A parser that raises ReplyRefused at bytes that its guard refuses, before hiredis parses them."""

    _guard: Guard

    def on_connect(self, connection: Any) -> None:
        super().on_connect(connection)  # type: ignore[no-untyped-call] # untyped in redis-py
        self._guard = Guard()

    async def read_replies(self, count: int, progress: Callable[[], None], limit: int) -> list[Any]:
        """The next replies, in order, with error replies in their places.

        `progress` is called whenever some of them have come. Together they may take `limit`
        bytes, as `Guard.expect` counts them. Raises ConnectionError of redis-py if the server
        closed the connection or is still loading (LOADING). Raises InvalidResponse if the bytes
        are not RESP2, or take more than the limit.
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
    """The text in a reply that is an array of one text, as to HMGET of one field; None for any other reply.

    hiredis gives the same, but takes longer, because it copies the text twice.
    """
    end = data.find(_END, len(_ONLY), len(_ONLY) + _MAX_DIGITS + len(_END))
    size = len(data) - end - 2 * len(_END)
    if end < 0 or data[:end] != b"%s%d" % (_ONLY, size) or not data.endswith(_END):
        return None
    return data[end + len(_END) : -len(_END)]
