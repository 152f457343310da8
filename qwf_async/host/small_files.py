"""Small files that are read whole: settings, passwords, keys."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

MAX_SMALL_FILE_BYTES: Final = 1 << 20
"""Bytes that such a file may have."""


def read_small_file(path: Path) -> bytes:
    """The contents of a regular file of at most MAX_SMALL_FILE_BYTES.

    Raises OSError if it cannot be read, and ValueError for a pipe or a device, and for a file that
    is larger. Opening a pipe does not wait for its other end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise ValueError("it is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            contents = file.read(MAX_SMALL_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(contents) > MAX_SMALL_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_SMALL_FILE_BYTES // 2**20} MiB")
    return contents
