"""Opening regular files and nothing else: reading a pipe or a device could wait for ever."""

from __future__ import annotations

import os
import stat
from io import FileIO
from typing import Final

from ...errors import InvalidInput

MAX_DEPTH: Final = 64
"""Directories within each other that are looked through: a link can lead back up."""

_KINDS: Final = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a fifo",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def open_regular(path: str) -> FileIO:
    """The file, to be closed by the caller; opening it never waits.

    Raises InvalidInput if it cannot be opened, or is no regular file.
    """
    try:
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{path} cannot be opened: {reason}") from error
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):
        file.close()
        raise not_regular(path, mode)
    return file


def check_readable(path: str, *, directory: bool = False) -> None:
    """Raises InvalidInput unless there is a regular file, or where that is allowed a directory."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InvalidInput(f"{path} cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise InvalidInput(f"{path} cannot be opened: {error}") from error
    if not (stat.S_ISREG(mode) or (directory and stat.S_ISDIR(mode))):
        raise not_regular(path, mode)


def check_regular(path: str, mode: int) -> None:
    """Raises InvalidInput unless `mode` is that of a regular file."""
    if not stat.S_ISREG(mode):
        raise not_regular(path, mode)


def check_all_regular(directory: str, depth: int = MAX_DEPTH) -> None:
    """Raises InvalidInput if a directory holds a fifo, a socket or a device: a library would wait for it.

    The kind of an entry is in the directory, so that this takes a tenth of the time of `stamp`.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir():
                if depth:
                    check_all_regular(entry.path, depth - 1)
            elif not entry.is_file() and os.path.exists(entry.path):  # nobody waits for a link to nowhere
                check_regular(entry.path, entry.stat().st_mode)


def not_regular(path: str, mode: int) -> InvalidInput:
    """The error for a path that is no file: what it is, and what can be done."""
    kind = next((name for is_kind, name in _KINDS.items() if is_kind(mode)), "something else")
    advice = "" if stat.S_ISDIR(mode) else "; what comes through it can be piped in, where - is the source"
    return InvalidInput(f"{path} is not a regular file but {kind}{advice}")
