"""What tells a file that was changed from the same file: its path, its size, when it was changed.

Of a directory these facts of each of its files, so that one put back from a copy, older than
others, is noticed too.
"""

from __future__ import annotations

import hashlib
import os
import stat

from ...errors import InvalidInput


def stamp(path: str) -> tuple[str, ...]:
    """The facts of a file, or of all files in a directory, as text. Raises InvalidInput if it is gone."""
    try:
        now = os.stat(path)
        if not stat.S_ISDIR(now.st_mode):
            return (path, f"size={now.st_size}", f"mtime_ns={now.st_mtime_ns}")
        files, digest = 0, hashlib.sha256()
        for place, inner, names in os.walk(path):
            inner.sort()
            for name in sorted(names):
                one = os.stat(os.path.join(place, name))
                digest.update(
                    f"{place}\0{name}\0{one.st_size}\0{one.st_mtime_ns}\0".encode(errors="surrogateescape")
                )
                files += 1
    except OSError as error:
        raise InvalidInput(f"{path} is gone: {error.strerror}") from error
    return (path, f"files={files}", f"sha256={digest.hexdigest()[:32]}")


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
