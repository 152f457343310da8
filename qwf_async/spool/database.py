"""The SQLite file of a spool: how it is made, opened, and read where a part of it is damaged.

Two tables hold the rows: `batches` holds their bytes, `waiting` what must be known without
the bytes. A few thousand rows of `waiting` fit in one page, so that the numbers of the chunks
survive damage anywhere among the gigabytes of `batches`. `quarantine` lists damaged rows.

The rate of `put` was measured as a share of what the disk takes: 660 MB/s, in groups of 15 MB
with an fsync after each. The machine had 2 cores and was nearly idle; each of 3 rounds put
240 MB.
- Pages of 16, 32, 64 KiB: 0.49, 0.59, 0.71.
- A log of 16, 64, 256 MiB before it is copied into the file: 0.67, 0.71, 0.93. The longest log
  copies at the end what the others copy on the way. 64 MiB are enough, and are what the disk
  must have in addition.
- Values that are joined and bound, or written buffer by buffer: alike, but the latter holds no
  copy.
- A rollback journal instead of WAL: 1.1, as the bytes are then written once; on a busy machine
  0.5 for either. WAL needs one fsync a commit instead of three or four, which counts on slow
  disks. It also leaves the file itself alone while a group is written.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from operator import gt, lt
from pathlib import Path
from typing import Any, Final

import xxhash

from ..catalog.manifest import NewerFormat
from .head import FORMAT
from .sqlite_errors import FAILURES, damaged

_APPLICATION: Final = int.from_bytes(b"QWFS", "big")
PAGE_BYTES: Final = 65_536
_LOG_BYTES: Final = 64 << 20
_CACHE_KIB: Final = 16 << 10
"""Kibibytes: about a group of four batches. 8 and 64 MiB were no different."""

_TABLES: Final = {
    "batches": "CREATE TABLE batches (sequence INTEGER PRIMARY KEY, row BLOB NOT NULL)",
    "quarantine": "CREATE TABLE quarantine (sequence INTEGER PRIMARY KEY, chunk INTEGER, why BLOB NOT NULL)",
    "waiting": "CREATE TABLE waiting (sequence INTEGER PRIMARY KEY, chunk INTEGER NOT NULL, "
    "bytes INTEGER NOT NULL, checksum BLOB NOT NULL)",
}

_ENDS: Final = {
    "batches": (
        "SELECT sequence FROM batches ORDER BY sequence",
        "SELECT sequence FROM batches ORDER BY sequence DESC",
    ),
    "quarantine": (
        "SELECT sequence, chunk, why FROM quarantine ORDER BY sequence",
        "SELECT sequence, chunk, why FROM quarantine ORDER BY sequence DESC",
    ),
    "waiting": (
        "SELECT sequence, chunk, bytes, checksum FROM waiting ORDER BY sequence",
        "SELECT sequence, chunk, bytes, checksum FROM waiting ORDER BY sequence DESC",
    ),
}


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file, for this process alone. Raises sqlite3.Error: SQLITE_BUSY if another process has it."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for setting in (
            "locking_mode = EXCLUSIVE",
            "synchronous = FULL",
            f"wal_autocheckpoint = {_LOG_BYTES // PAGE_BYTES}",
            f"journal_size_limit = {_LOG_BYTES}",
            f"cache_size = -{_CACHE_KIB}",
            "cell_size_check = ON",
            "secure_delete = OFF",  # Debian's default is ON: every removed page would be written once more
        ):
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables of a spool in an empty file. Raises sqlite3.Error."""
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")  # the file itself remembers it
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DamagedData if the file is not a spool of this format, sqlite3.Error if it is no database.

    Takes the lock and changes nothing, for the file may belong to another program.
    """
    ((application,),) = _all(connection, "PRAGMA application_id")
    ((version,),) = _all(connection, "PRAGMA user_version")
    if application != _APPLICATION:
        raise damaged(path, "it was made by another program")
    if version > FORMAT:
        raise NewerFormat(
            f"the spool {path} has format version {version}; this program reads up to {FORMAT}: update it"
        )
    tables = _all(connection, "SELECT name, sql, rootpage FROM sqlite_master")
    # Page 1 holds this table; the others were created in their order.
    if tables != [(name, sql, page) for page, (name, sql) in enumerate(_TABLES.items(), 2)]:
        raise damaged(path, "its tables are not those of a spool")


def _all(connection: sqlite3.Connection, statement: str) -> list[tuple[Any, ...]]:
    """All rows of a statement. It ends even if its error is kept: an open one holds the lock of a closed connection."""
    with closing(connection.execute(statement)) as cursor:
        return cursor.fetchall()


def scan(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, read from both ends, because a damaged page stops a scan.

    Rows may come twice. Numbers out of order count as damage too.
    """
    for statement, follows in zip(_ENDS[table], (gt, lt), strict=True):
        last = None
        try:
            for row in connection.execute(statement):
                if last is not None and not follows(row[0], last):
                    break
                last = row[0]
                yield row
            else:
                return
        except FAILURES:
            continue


def checksum_of(sequence: int, chunk: int, nbytes: int) -> bytes:
    """What the last column of `waiting` holds: xxh3-64 of the others."""
    return xxhash.xxh3_64_digest(struct.pack("<3q", sequence, chunk, nbytes))
