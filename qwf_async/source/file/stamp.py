"""What tells a file that was changed from the same file: its path, its size, when it was changed."""

from __future__ import annotations

import os
import stat

from ...errors import InvalidInput


def stamp(path: str) -> tuple[str, ...]:
    """The facts of a file, or of all files in a directory, as text. Raises InvalidInput if it is gone."""
    real = os.path.realpath(path)
    try:
        now = os.stat(real)
        if not stat.S_ISDIR(now.st_mode):
            return (real, f"size={now.st_size}", f"mtime_ns={now.st_mtime_ns}")
        size, newest, files = 0, 0, 0
        for place, _, names in os.walk(real):
            for name in names:
                one = os.stat(os.path.join(place, name))
                size, newest, files = size + one.st_size, max(newest, one.st_mtime_ns), files + 1
    except OSError as error:
        raise InvalidInput(f"{path} is gone: {error.strerror}") from error
    return (real, f"files={files}", f"size={size}", f"mtime_ns={newest}")


def check_readable(path: str, *, directory: bool = False) -> None:
    """Raises InvalidInput unless there is a regular file, or where that is allowed a directory."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InvalidInput(f"{path} cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise InvalidInput(f"{path} cannot be opened: {error}") from error
    if not (stat.S_ISREG(mode) or (directory and stat.S_ISDIR(mode))):
        raise InvalidInput(f"{path} is not a regular file")


def check_unchanged(path: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """Raises InvalidInput if the facts of a file have changed while it was opened."""
    if after != before:
        raise InvalidInput(f"{path} was changed while it was opened: start again")
