"""How strings are written one after the other: in requests, and in payloads of RESTORE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .rdb import length


@dataclass(frozen=True, slots=True, kw_only=True)
class StringForm:
    """How a string of so many bytes is written: what `begin` makes of their number, the bytes, and `end`."""

    begin: Callable[[int], bytes]
    end: bytes

    def of(self, value: bytes) -> bytes:
        """A string in this form."""
        return self.begin(len(value)) + value + self.end


IN_RESP: Final = StringForm(begin=lambda size: b"$%d\r\n" % size, end=b"\r\n")
"""Bulk strings. Source: https://redis.io/docs/latest/develop/reference/protocol-spec/#bulk-strings"""

IN_RDB: Final = StringForm(begin=length, end=b"")
"""Strings of a payload. Source: `rdbSaveRawString` of `rdb.c`, Redis 7.0."""
