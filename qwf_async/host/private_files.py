"""Checks that files and directories are their user's alone: whoever could write to them could decide what is done."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import InvalidInput


def check_private_directory(directory: Path, role: str, cure: str) -> None:
    """Raises InvalidInput if a directory is another user's, or everybody may write to it.

    `role` says what the directory is, as in "data directory", and `cure` what to do about it.
    Raises OSError if there is no such directory. Root is not asked whose it is: in a container
    it keeps data in directories of its host's users.
    """
    status = directory.stat()
    if os.geteuid() and status.st_uid not in (0, os.geteuid()):
        raise InvalidInput(f"the {role} {directory} belongs to another user (uid {status.st_uid}): {cure}")
    if status.st_mode & stat.S_IWOTH:
        raise InvalidInput(f"the {role} {directory} can be written to by everybody: {cure}")


def check_private_file(file: Path) -> None:
    """Raises InvalidInput if it is no plain file, another user's, or others may write to it.

    Raises OSError if there is no such file.
    """
    _check(os.lstat(file), file)


def read_private_file(file: Path, max_bytes: int) -> bytes:
    """The beginning of a file that `check_private_file` lets pass. Raises as that; never waits, as for a pipe."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check(os.fstat(descriptor), file)
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(max_bytes)
    finally:
        os.close(descriptor)


def _check(status: os.stat_result, file: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{file} is no plain file: move it away")
    if status.st_uid != os.geteuid():
        raise InvalidInput(
            f"{file} belongs to another user (uid {status.st_uid}), who may have written it: move it away"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InvalidInput(f"{file} can be written to by others, who may have changed it: move it away")
