"""The slow log of a server, without what its commands were about: arguments are counted, and never shown.

An entry of SLOWLOG GET is `[number, Unix time, µs, arguments, …]`. The server leaves out what is
long and says so: the last of many arguments is then `... (42 more arguments)`, and a long one
ends in `... (7 more bytes)` (`slowlogCreateEntry` in its slowlog.c, commandlog.c of Valkey 8.1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeGuard

from ..events import SlowCommand

ENTRIES: Final = 16
"""Entries that are asked for at a time: at most 32 arguments of some 150 bytes each."""

_MORE_ARGUMENTS: Final = re.compile(rb"\.\.\. \((\d{1,15}) more arguments\)")
_MORE_BYTES: Final = re.compile(rb"\.\.\. \((\d{1,15}) more bytes\)\Z")


def is_slow_log(reply: Any) -> TypeGuard[list[list[Any]]]:
    return isinstance(reply, list) and all(
        isinstance(entry, list)
        and len(entry) >= 4
        and all(isinstance(item, int) for item in entry[:3])
        and isinstance(entry[3], list)
        and entry[3]
        and all(isinstance(word, bytes) for word in entry[3])
        for entry in reply
    )


def slow_commands(reply: Sequence[Sequence[Any]], after: int | None) -> tuple[SlowCommand, ...]:
    """The entries of a reply that came after that of the number `after`, or all; newest first."""
    return tuple(_slow_command(*entry[:4]) for entry in reply if after is None or entry[0] > after)


def _slow_command(number: int, time: int, microseconds: int, words: Sequence[bytes]) -> SlowCommand:
    command, *arguments = words
    count = len(arguments)
    if arguments and (more := _MORE_ARGUMENTS.fullmatch(arguments[-1])):
        count += int(more[1]) - 1
        arguments.pop()
    return SlowCommand(
        number=number,
        time=time,
        seconds=microseconds / 1e6,
        command=command[:64].decode("ascii", "replace").upper(),
        arguments=count,
        nbytes=sum(map(_size, arguments)),
    )


def _size(argument: bytes) -> int:
    """Bytes of an argument, of which the log may have the beginning alone."""
    more = _MORE_BYTES.search(argument)
    return len(argument) if more is None else more.start() + int(more[1])
