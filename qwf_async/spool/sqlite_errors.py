"""The one table from what SQLite says to what it means for a spool."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import ClassVar, Final

from ..errors import DamagedData, InvalidInput, QwfError, Refused
from ..wording import flag

FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)
"""What the library raises. The second if a message quotes damaged text that is no UTF-8."""


class SpoolFull(QwfError):
    """The spool's limit or its disk has no room: nothing of what was to be put is in the file.

    No ServerUnavailable, although it exits with the same code: to try again at once cannot
    help. There is room again when batches have been removed or the disk has been cleared.
    """

    exit_code: ClassVar[int] = 3


def translate(error: Exception, path: Path) -> QwfError:
    """The error of ours that stands for one of FAILURES, met in the spool `path`.

    Source of the codes: "Result and Error Codes" of SQLite's documentation; the low byte of
    an extended code is its primary code.
    """
    text = " ".join(str(error).split())  # what it quotes may have line ends
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Refused(f"the spool {path} is in use by another process: wait for it, or end it")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM | sqlite3.SQLITE_TOOBIG:
            return SpoolFull(
                f"the spool {path} cannot be written ({text}): make room on its disk, or choose another disk"
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY:
            return InvalidInput(f"the spool {path} cannot be used ({text}): check that it is yours to write")
        case _:
            return damaged(path, text)


def damaged(path: Path, why: str) -> DamagedData:
    """What is said of a file that is no spool of ours, or no longer one."""
    return DamagedData(
        f"{path} is not a spool that can be read ({why}): move it away, and repeat the ingest with {flag('resume')}"
    )
