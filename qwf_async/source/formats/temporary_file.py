"""Temporary files without a name: nothing is left of them, however the process ends."""

from __future__ import annotations

import os
from io import FileIO
from tempfile import gettempdir, mkstemp
from typing import Final

from ...errors import InvalidInput

MAX_TEMPORARY_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Bytes that a source may keep in one: two panels of 64 planes of 1024×1024 complex128."""


def temporary_file() -> tuple[FileIO, FileIO]:
    """A file opened twice, for writing and for reading, so that the reader has a position of its own.

    Raises OSError if there is no room for one.
    """
    number, path = mkstemp(prefix="qwf-")
    try:
        return FileIO(number, "w"), FileIO(path)
    finally:
        os.unlink(path)


def no_room_error(what: str, error: OSError) -> InvalidInput:
    """The error that says that `what` cannot be kept in a temporary file, and why."""
    return InvalidInput(
        f"{what} cannot be kept in {gettempdir()}: {error.strerror}; set TMPDIR to another directory"
    )
