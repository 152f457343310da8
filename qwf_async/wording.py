"""The wording of messages: options named for the command line or for Python, and foreign text made harmless.

The same error reaches a user of the command line, who writes `--overwrite`, and a user of
Python, who writes `overwrite=True`. Messages name options by the functions here, which know
which of the two reads them: the command line runs within `messages_for_command_line`, and
whatever runs outside of it is Python.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

MAX_QUOTED_CHARACTERS: Final = 200
"""Characters of a foreign text that a message quotes: a server or a file may send a gigabyte."""

_to_command_line: ContextVar[bool] = ContextVar("to_command_line", default=False)


@contextmanager
def messages_for_command_line() -> Iterator[None]:
    """Within this, messages name options as the command line does, also in tasks and threads that begin there."""
    token = _to_command_line.set(True)
    try:
        yield
    finally:
        _to_command_line.reset(token)


def phrase(*, command_line: str, python: str) -> str:
    """The phrase for the user who reads the message: of the command line, or of Python."""
    return command_line if _to_command_line.get() else python


def option(name: str, value: object = None) -> str:
    """An option by its name in Python, perhaps with a value: `--box 20` or `box=20`."""
    word = f"--{name.replace('_', '-')}"
    if value is None:
        return phrase(command_line=word, python=name)
    return phrase(command_line=f"{word} {value}", python=f"{name}={value!r}")


def flag(name: str) -> str:
    """A switch that is turned on: `--overwrite` or `overwrite=True`."""
    return phrase(command_line=option(name), python=f"{name}=True")


def again_with(name: str) -> str:
    """The advice to do the same once more with a switch turned on."""
    return phrase(
        command_line=f"run the same command with {flag(name)}", python=f"make the same call with {flag(name)}"
    )


def printable(text: str) -> str:
    """The text with unprintable characters escaped, so that it stays on one line and moves no cursor.

    Escaped are control characters (C0, DEL, C1), line ends, characters that change the direction
    of writing (U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), and bytes that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str) -> str:
    """The first 200 characters of a foreign text, for a message."""
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}…"


def cut_where_they_differ(one: str, other: str) -> tuple[str, str]:
    """Two foreign texts that differ, each cut to 200 characters; the first difference is among these."""
    common = len(os.path.commonprefix((one, other)))  # noqa: RUF071 # characters are meant
    if common < MAX_QUOTED_CHARACTERS // 2:
        return shortened(one), shortened(other)
    start = common - MAX_QUOTED_CHARACTERS // 4
    return f"…{shortened(one[start:])}", f"…{shortened(other[start:])}"


def quoted(text: object) -> str:
    """A foreign text as a message quotes it: in quotation marks, printable, cut after 200 characters.

    Python's `repr` escapes the same characters as `printable` does.
    """
    whole = str(text)
    return repr(whole) if len(whole) <= MAX_QUOTED_CHARACTERS else f"{whole[:MAX_QUOTED_CHARACTERS]!r}…"
