"""Files that decide what is done, and so must be their user's alone: whoever can write to them could have it done."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import InvalidInput


def check_directory(directory: Path, what: str, cure: str) -> None:
    """Raises InvalidInput if a directory is another user's, or everybody may write to it; OSError if it is none.

    Root is not asked whose it is: in a container it keeps data in directories of its host's users.
    """
    found = directory.stat()
    if os.geteuid() and found.st_uid not in (0, os.geteuid()):
        raise InvalidInput(f"the {what} {directory} belongs to another user (uid {found.st_uid}): {cure}")
    if found.st_mode & stat.S_IWOTH:
        raise InvalidInput(f"the {what} {directory} can be written to by everybody: {cure}")


def check_file(file: Path) -> None:
    """Raises InvalidInput if it is no plain file, another user's, or others may write to it; OSError if it is gone."""
    _check(os.lstat(file), file)


def read_file(file: Path, most_bytes: int) -> bytes:
    """The beginning of a file that `check_file` lets pass. Raises as that; never waits, as for a pipe."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(os.fstat(descriptor), file)
        with open(descriptor, "rb", closefd=False) as opened:
            return opened.read(most_bytes)
    finally:
        os.close(descriptor)


def _check(found: os.stat_result, file: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput(f"{file} is no plain file: move it away")
    if found.st_uid != os.geteuid():
        raise InvalidInput(
            f"{file} belongs to another user (uid {found.st_uid}), who may have written it: move it away"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InvalidInput(f"{file} can be written to by others, who may have changed it: move it away")
