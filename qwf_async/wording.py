"""How messages are worded: for the command line or for Python, with foreign text made harmless.

The same error reaches a user of the command line, who writes `--overwrite`, and a user of
Python, who writes `overwrite=True`. Messages name options by the functions here, which know
which of the two is listening: the command line says so by `spoken_to_the_command_line`, and
everything that is not run by it is Python.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

LONGEST_QUOTE: Final = 200
"""Characters of a foreign text that a message quotes: what a server or a file sends may be a gigabyte."""

_to_command_line: ContextVar[bool] = ContextVar("to_command_line", default=False)


@contextmanager
def spoken_to_the_command_line() -> Iterator[None]:
    """Within this, messages speak as the command line does; in tasks and threads that begin there, too."""
    token = _to_command_line.set(True)
    try:
        yield
    finally:
        _to_command_line.reset(token)


def said(*, command_line: str, python: str) -> str:
    """The words that fit whoever is listening."""
    return command_line if _to_command_line.get() else python


def option(name: str, value: object = None) -> str:
    """An option by its name in Python, perhaps with a value: `--box 20` there, `box=20` here."""
    word = f"--{name.replace('_', '-')}"
    if value is None:
        return said(command_line=word, python=name)
    return said(command_line=f"{word} {value}", python=f"{name}={value!r}")


def flag(name: str) -> str:
    """A switch that is turned on: `--overwrite` there, `overwrite=True` here."""
    return said(command_line=option(name), python=f"{name}=True")


def again_with(name: str) -> str:
    """Advice to do the same once more with a switch turned on."""
    return said(
        command_line=f"run the same command with {flag(name)}", python=f"make the same call with {flag(name)}"
    )


def printable(text: str) -> str:
    """The text with what is not to be printed escaped, so that it stays on one line and moves no cursor.

    Escaped are control characters (C0, DEL, C1), line ends, what changes the direction of
    writing (U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), and bytes that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str) -> str:
    """A foreign text of which a message says no more than the first 200 characters."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def told_apart(one: str, other: str) -> tuple[str, str]:
    """Two foreign texts that differ, each cut to 200 characters in which they do."""
    common = len(os.path.commonprefix((one, other)))  # noqa: RUF071 # characters are meant
    if common < LONGEST_QUOTE // 2:
        return shortened(one), shortened(other)
    start = common - LONGEST_QUOTE // 4
    return f"…{shortened(one[start:])}", f"…{shortened(other[start:])}"


def quoted(text: object) -> str:
    """A foreign text as a message quotes it: in quotation marks, printable, and cut at 200 characters.

    Python's `repr` escapes the same characters as `printable` does.
    """
    whole = str(text)
    return repr(whole) if len(whole) <= LONGEST_QUOTE else f"{whole[:LONGEST_QUOTE]!r}…"
