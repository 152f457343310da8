"""What an error of SQLite means for a spool: the one table of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from ..errors import DamagedData, InvalidInput, QwfError, Refused, SpoolFull
from ..wording import flag

FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)
"""What the library raises. UnicodeDecodeError comes from a message that quotes damaged text."""


def translate(error: Exception, path: Path) -> QwfError:
    """Our error for one of FAILURES that was raised for the spool `path`.

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
    """The error for a file that is not, or no longer, a spool of ours. `why` ends the sentence."""
    return DamagedData(
        f"{path} is not a spool that can be read ({why}): move it away, and repeat the ingest with {flag('resume')}"
    )
