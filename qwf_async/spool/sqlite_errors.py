"""What an error of SQLite means for a file of ours, a spool or another: the one table of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from ..errors import DamagedData, InvalidInput, QwfError, Refused, SpoolFull
from ..wording import flag

FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)
"""What the library raises. UnicodeDecodeError comes from a message that quotes damaged text."""


def translate(error: Exception, path: Path, *, role: str = "spool", cure: str | None = None) -> QwfError:
    """Our error for one of FAILURES that was raised for the file `path`.

    `role` says what the file is, and `cure` what to do if it is damaged; None means as for a spool.
    Source of the codes: "Result and Error Codes" of SQLite's documentation; the low byte of
    an extended code is its primary code.
    """
    text = " ".join(str(error).split())  # what it quotes may have line ends
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Refused(f"the {role} {path} is in use by another process: wait for it, or end it")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM | sqlite3.SQLITE_TOOBIG:
            return SpoolFull(
                f"the {role} {path} cannot be written ({text}): make room on its disk, or choose another disk"
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_READONLY:
            return InvalidInput(f"the {role} {path} cannot be used ({text}): check that it is yours to write")
        case _:
            return damaged(path, text, role=role, cure=cure)


def damaged(path: Path, why: str, *, role: str = "spool", cure: str | None = None) -> DamagedData:
    """The error for a file that is not, or no longer, one of ours. `why` ends the sentence; the rest as above."""
    cure = cure or f"move it away, and repeat the ingest with {flag('resume')}"
    return DamagedData(f"{path} is not a {role} that can be read ({why}): {cure}")
