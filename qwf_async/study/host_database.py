"""The tables of a study's SQLite file on this host, and how SQLite is set.

    meta      which study it is, and up to where its log was copied
    base      whole trials that stand for the entries that were trimmed away before the copy began
    copy      position → entry: the server's log behind that
    overlay   what this host wrote while the server was away, in that order
    episode   the times for which the host did without the server

Nothing in the file is ever executed: it may hold these tables and no trigger, view or other index.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from ..errors import DamagedData, QwfError
from ..spool import sqlite_errors

FAILURES: Final = sqlite_errors.FAILURES
FORMAT: Final = 1
_APPLICATION: Final = int.from_bytes(b"QWFT", "big")
_PATIENCE: Final = 20.0
"""Seconds to wait for SQLite's own lock. All writers have the lock in front of it; only recovery may hold it."""

_ROLE: Final = "file of a study"
_CURE: Final = "move it away with the files beside it, to go on without what this host alone knows"

_TABLES: Final = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "base": "CREATE TABLE base (n INTEGER PRIMARY KEY, entry BLOB NOT NULL)",
    "copy": "CREATE TABLE copy (position INTEGER PRIMARY KEY, entry BLOB NOT NULL)",
    "overlay": "CREATE TABLE overlay (n INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, "
    "seq INTEGER NOT NULL, number INTEGER, entry BLOB NOT NULL, UNIQUE (lane, seq))",
    "episode": "CREATE TABLE episode (id INTEGER PRIMARY KEY AUTOINCREMENT, begun TEXT NOT NULL, ended TEXT)",
}
_OF_SQLITE: Final = {"sqlite_sequence", "sqlite_autoindex_overlay_1"}


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file, for this process and whatever thread holds the lock of its owner. Raises sqlite3.Error.

    A commit is in the log beside the file, which kill -9 does not hurt, but not on the disk: `HostConnection`
    sees to that.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for setting in (
            "synchronous = NORMAL",
            "cell_size_check = ON",
            "trusted_schema = OFF",
            "secure_delete = OFF",
            f"journal_size_limit = {16 << 20}",
        ):
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def create_tables(connection: sqlite3.Connection, meta: dict[str, Any]) -> None:
    """Create the tables in an empty file, with what `meta` holds. Raises sqlite3.Error."""
    connection.execute("PRAGMA journal_mode = WAL")  # the file itself remembers it
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES.values():
        connection.execute(statement)
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DamagedData if the file is not one of a study in this format, sqlite3.Error if it is no database."""
    ((application,),) = _all(connection, "PRAGMA application_id")
    ((version,),) = _all(connection, "PRAGMA user_version")
    if application != _APPLICATION:
        raise damaged(path, "it was made by another program")
    if version != FORMAT:
        raise DamagedData(
            f"the file of a study {path} has format version {version}; this program knows {FORMAT}: "
            "use the release of qwf_async that wrote it, or move it away"
        )
    found = _all(connection, "SELECT name, sql FROM sqlite_master")
    if {name: sql for name, sql in found if name not in _OF_SQLITE} != _TABLES:
        raise damaged(path, "its tables are not those of a study")


def damaged(path: Path, why: str) -> DamagedData:
    """The error for a file that is not, or no longer, one of a study. `why` ends the sentence."""
    return sqlite_errors.damaged(path, why, role=_ROLE, cure=_CURE)


def translate(error: Exception, path: Path) -> QwfError:
    """Our error for one of FAILURES."""
    return sqlite_errors.translate(error, path, role=_ROLE, cure=_CURE)


def _all(connection: sqlite3.Connection, statement: str) -> list[tuple[Any, ...]]:
    with closing(connection.execute(statement)) as cursor:
        return cursor.fetchall()
